"""The instance annotations of COCO, `instances_*.json`, checked record by record."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from wsss.data.class_names import is_background, is_void
from wsss.data.names import id_of, same_form
from wsss.data.problems import Problems
from wsss.method.labels import IGNORE
from wsss.study.regular import regular_bytes

Value = TypeVar("Value")

SECTIONS = ("images", "annotations", "categories")


class Instance(NamedTuple):
    """One object, or a crowd of them.

    Attributes:
        label: 0-based class index.
        is_crowd: whether the region holds several objects that the annotators did not separate.
        segmentation: polygons `[[x, y, x, y, …], …]`, or run lengths `{"size": [H, W], "counts": …}`,
            unchecked; None for an object without an outline, of which only a box is known.
        place: file and number of the annotation.
    """

    label: int
    is_crowd: bool
    segmentation: Any
    place: str


class AnnotatedImage(NamedTuple):
    """One image as the annotations describe it: file name, perhaps with folders, size in pixels, objects.

    The size is 0 where they do not tell it.
    """

    file_name: str
    height: int
    width: int
    instances: list[Instance]

    @property
    def labels(self) -> tuple[int, ...]:
        """Class indices of the image, 0-based and ascending; a crowd counts like an object."""
        return tuple(sorted({instance.label for instance in self.instances}))

    @property
    def outlined(self) -> bool:
        """Whether all objects have outlines, so that a mask can be drawn."""
        return all(instance.segmentation is not None for instance in self.instances)


class Annotations(NamedTuple):
    """What a file says.

    Attributes:
        classes: In the order of their category ids.
        images: By id, the file name without extension.
        supercategories: Names that stand above the categories.
        complete: Whether all records could be read, so that what is missing is missing in the file.
    """

    classes: tuple[str, ...]
    images: dict[str, AnnotatedImage]
    supercategories: frozenset[str] = frozenset()
    complete: bool = True


def read_annotations(path: Path, problems: Problems) -> Annotations:
    """Read a file of instance annotations; ``problems`` collects its problems, by section and number.

    A record that cannot be read is one problem: others that refer to it are left out with it.
    """
    faults = len(problems)
    content = _load(path, problems)
    if content is None:
        return Annotations((), {}, complete=False)
    broken: dict[str, set[Any]] = {section: set() for section in SECTIONS}
    every = _unique(_records(content, "categories", path, problems, _category, broken), path, problems)
    names = {category: name for category, name in every.items() if not (is_background(name) or is_void(name))}
    classes = _classes(names, path, problems) if not broken["categories"] else ()
    by_number = _unique(_records(content, "images", path, problems, _image, broken), path, problems)
    if not classes:
        broken["categories"].add(None)  # annotations that refer to them are not wrong, too
    labels = {category: label for label, category in enumerate(sorted(names))}
    reader = _instance_reader(by_number, labels, every.keys(), broken)
    for found in _records(content, "annotations", path, problems, reader, broken):
        if found is not None:
            by_number[found[0]].instances.append(found[1])
    images = _by_id(by_number.values(), path, problems)
    return Annotations(classes, images, _supercategories(content), len(problems) == faults)


def _supercategories(content: Mapping[str, Any]) -> frozenset[str]:
    records = (record for record in content["categories"] if isinstance(record, dict))
    return frozenset(name for record in records if isinstance(name := record.get("supercategory"), str))


def _load(path: Path, problems: Problems) -> dict[str, Any] | None:
    try:
        content = json.loads(regular_bytes(path))
    except OSError as error:
        problems.add("missing file", f"{path}: {error.strerror}")
        return None
    except (ValueError, RecursionError) as error:
        problems.add("bad annotations", f"{path}: not JSON: {error}")
        return None
    for section in SECTIONS:
        if not isinstance(content, dict) or not isinstance(content.get(section), list):
            problems.add("bad annotations", f"{path}: expected an object with a list {section!r}")
            return None
    return dict(content)


def _records(
    content: Mapping[str, Any],
    section: str,
    path: Path,
    problems: Problems,
    read: Callable[[str, Any], Value],
    broken: Mapping[str, set[Any]],
) -> Iterator[Value]:
    """Read the records of a section, each with its place; invalid ones are left out, and their ids noted.

    The id of a record that has none is None: any other may refer to it.
    """
    for number, record in enumerate(content[section]):
        place = f"{path}: {section}[{number}]"
        try:
            yield read(place, record)
        except ValueError as error:
            problems.add("bad annotations", f"{place} {error}")
            try:
                broken[section].add(_number(record, "id"))
            except ValueError:
                broken[section].add(None)


def _unique(records: Iterable[tuple[int, Value]], path: Path, problems: Problems) -> dict[int, Value]:
    found: dict[int, Value] = {}
    for number, record in records:
        if number in found:
            problems.add("bad annotations", f"{path}: {found[number]} and {record} have the same id {number}")
        found[number] = record
    return found


def _category(place: str, record: Any) -> tuple[int, str]:
    name = same_form(_field(record, "name", str).strip())
    if not name.strip() or not name.isprintable():
        raise ValueError(f"has the name {name!r}, expected one line of text")
    return _number(record, "id"), name


def _classes(names: Mapping[int, str], path: Path, problems: Problems) -> tuple[str, ...]:
    classes = tuple(names[category] for category in sorted(names))
    if len(set(classes)) < len(classes):
        problems.add("bad annotations", f"{path}: categories: a name occurs twice")
    if not 0 < len(classes) < IGNORE:
        problems.add("bad annotations", f"{path}: {len(classes)} categories, expected 1 … {IGNORE - 1}")
    return classes


def _image(place: str, record: Any) -> tuple[int, AnnotatedImage]:
    name = same_form(_field(record, "file_name", str).replace("\\", "/"))
    path = PurePosixPath(name)
    # Where the file was for the annotator does not matter: folders that lead elsewhere are left out.
    below = [part for part in path.parts if part not in ("/", "..") and not part.endswith(":")]
    if not below or not name.isprintable():
        raise ValueError(f"has the file name {name!r}, expected one line of text")
    height, width = (
        _number(record, side) if record.get(side) is not None else 0 for side in ("height", "width")
    )
    return _number(record, "id"), AnnotatedImage("/".join(below), height, width, [])


def _instance_reader(
    images: Mapping[int, AnnotatedImage],
    labels: Mapping[int, int],
    categories: Collection[int],
    broken: Mapping[str, set[Any]],
) -> Callable[[str, Any], tuple[int, Instance] | None]:
    def read(place: str, record: Any) -> tuple[int, Instance] | None:
        image, category = _number(record, "image_id"), _number(record, "category_id")
        for key, number, section, known in (
            ("image", image, "images", images),
            ("category", category, "categories", categories),
        ):
            if number not in known and not {number, None} & broken[section]:
                raise ValueError(f"has the {key} {number}, which is not among the {section}")
        if image not in images or category not in labels:
            return None  # what it refers to is a problem already, or no class, as an exporter's background
        outline = record.get("segmentation") or None
        return image, Instance(labels[category], bool(record.get("iscrowd", 0)), outline, place)

    return read


def _number(record: Any, key: str) -> int:
    """Return a whole number, which some exporters write as text or with a decimal point."""
    given = record.get(key) if isinstance(record, dict) else None
    if isinstance(given, str) and given.strip().isdecimal():
        return int(given)
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return _field(record, key, int)


def _field(record: Any, key: str, kind: type[Value]) -> Value:
    if not isinstance(record, dict):
        raise ValueError(f"is a {type(record).__name__}, expected an object")
    if key not in record:
        raise ValueError(f"has no {key!r}")
    value = record[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"has {key!r}: {value!r:.60}, expected {kind.__name__}")
    return value


def _by_id(images: Iterable[AnnotatedImage], path: Path, problems: Problems) -> dict[str, AnnotatedImage]:
    found: dict[str, AnnotatedImage] = {}
    for image in images:
        image_id = id_of(Path(image.file_name), Path())
        if image_id in found:
            problems.add("duplicate id", f"{path}: {image.file_name} and {found[image_id].file_name}")
        found[image_id] = image
    return found
