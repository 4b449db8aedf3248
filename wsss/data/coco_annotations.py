"""The instance annotations of COCO, `instances_*.json`, checked record by record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from wsss.data.problems import Problems
from wsss.method.labels import IGNORE

Value = TypeVar("Value")

SECTIONS = ("images", "annotations", "categories")


class Instance(NamedTuple):
    """One object, or a crowd of them.

    Attributes:
        label: 0-based class index.
        is_crowd: whether the region holds several objects that the annotators did not separate.
        segmentation: polygons `[[x, y, x, y, …], …]`, or run lengths `{"size": [H, W], "counts": …}`;
            unchecked.
        place: file and number of the annotation.
    """

    label: int
    is_crowd: bool
    segmentation: Any
    place: str


class AnnotatedImage(NamedTuple):
    """One image as the annotations describe it: file name, size in pixels, and objects."""

    file_name: str
    height: int
    width: int
    instances: list[Instance]

    @property
    def labels(self) -> tuple[int, ...]:
        """Class indices of the image, 0-based and ascending; a crowd counts like an object."""
        return tuple(sorted({instance.label for instance in self.instances}))


class Annotations(NamedTuple):
    """The classes in the order of their category ids, and the images by id, the file name's stem."""

    classes: tuple[str, ...]
    images: dict[str, AnnotatedImage]


def read_annotations(path: Path, problems: Problems) -> Annotations:
    """Read a file of instance annotations; ``problems`` collects its problems, by section and number."""
    content = _load(path, problems)
    if content is None:
        return Annotations((), {})
    names = _unique(_records(content, "categories", path, problems, _category), path, problems)
    classes = _classes(names, path, problems)
    by_number = _unique(_records(content, "images", path, problems, _image), path, problems)
    labels = {category: label for label, category in enumerate(sorted(names))}
    reader = _instance_reader(path, by_number, labels)
    for number, instance in _records(content, "annotations", path, problems, reader):
        by_number[number].instances.append(instance)
    return Annotations(classes, _by_id(by_number.values(), path, problems))


def _load(path: Path, problems: Problems) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
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
) -> Iterator[Value]:
    """Read the records of a section, each with its place; invalid records are left out."""
    for number, record in enumerate(content[section]):
        place = f"{path}: {section}[{number}]"
        try:
            yield read(place, record)
        except ValueError as error:
            problems.add("bad annotations", f"{place} {error}")


def _unique(records: Iterable[tuple[int, Value]], path: Path, problems: Problems) -> dict[int, Value]:
    found: dict[int, Value] = {}
    for number, record in records:
        if number in found:
            problems.add("bad annotations", f"{path}: {found[number]} and {record} have the same id {number}")
        found[number] = record
    return found


def _category(place: str, record: Any) -> tuple[int, str]:
    name = _field(record, "name", str)
    if not name.strip() or not name.isprintable():
        raise ValueError(f"has the name {name!r}, expected one line of text")
    return _field(record, "id", int), name


def _classes(names: Mapping[int, str], path: Path, problems: Problems) -> tuple[str, ...]:
    classes = tuple(names[category] for category in sorted(names))
    if len(set(classes)) < len(classes):
        problems.add("bad annotations", f"{path}: categories: a name occurs twice")
    if not 0 < len(classes) < IGNORE:
        problems.add("bad annotations", f"{path}: {len(classes)} categories, expected 1 … {IGNORE - 1}")
    return classes


def _image(place: str, record: Any) -> tuple[int, AnnotatedImage]:
    name = _field(record, "file_name", str)
    if Path(name).name != name or not name.isprintable():
        raise ValueError(f"has the file name {name!r}, expected one without folders")
    height, width = _field(record, "height", int), _field(record, "width", int)
    return _field(record, "id", int), AnnotatedImage(name, height, width, [])


def _instance_reader(
    path: Path, images: Mapping[int, AnnotatedImage], labels: Mapping[int, int]
) -> Callable[[str, Any], tuple[int, Instance]]:
    def read(place: str, record: Any) -> tuple[int, Instance]:
        image, category = _field(record, "image_id", int), _field(record, "category_id", int)
        if image not in images:
            raise ValueError(f"has the image {image}, which is not among the images")
        if category not in labels:
            raise ValueError(f"has the category {category}, which is not among the categories")
        if "segmentation" not in record:
            raise ValueError("has no 'segmentation'")
        crowd = bool(record.get("iscrowd", 0))
        return image, Instance(labels[category], crowd, record["segmentation"], place)

    return read


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
        image_id = Path(image.file_name).stem
        if image_id in found:
            problems.add("duplicate id", f"{path}: {image.file_name} and {found[image_id].file_name}")
        found[image_id] = image
    return found
