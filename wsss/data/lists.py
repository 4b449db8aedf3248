"""The text files of a folder data set: classes, image-level labels and lists of ids.

Each function adds the problems it finds to ``problems`` and returns what could be read. ``images`` holds the
image files by id.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsss.data.problems import Problems
from wsss.method.labels import IGNORE
from wsss.study.words import did_you_mean

HEADER = ["image", "labels"]


@dataclass(frozen=True)
class Labelled:
    """A line of the label file: its place (file:line) and its 0-based class indices, ascending."""

    place: str
    labels: tuple[int, ...]


def read_classes(path: Path, problems: Problems) -> tuple[str, ...]:
    """Read the class names, one per line; the first has the mask value 1."""
    places: dict[str, str] = {}
    for place, name in _entries(path, "bad class list", problems):
        if name in places:
            problems.add("bad class list", f"{place}: {name!r} is already listed at {places[name]}")
        elif name.split() != [name]:
            problems.add("bad class list", f"{place}: {name!r} contains a space, which separates labels")
        elif name.lower() == "background":
            problems.add("bad class list", f"{place}: remove {name!r}: it is always mask value 0")
        places.setdefault(name, place)
    if len(places) >= IGNORE:
        problems.add("bad class list", f"{path}: {len(places)} classes, expected at most {IGNORE - 1}")
    return tuple(places)


def read_labels(
    path: Path, classes: Sequence[str], images: Mapping[str, Path], problems: Problems
) -> dict[str, Labelled]:
    """Read lines ``image,labels`` with labels separated by spaces; return them by image id."""
    index = {name: number for number, name in enumerate(classes)}
    rows: dict[str, Labelled] = {}
    for place, name, labels in _label_lines(path, problems):
        image_id = id_of(name, images)
        if images and image_id not in images:
            problems.add("label without image", f"{place}: there is no image {name!r}")
        if image_id in rows:
            problems.add("duplicate id", f"{place}: {image_id!r} is already listed at {rows[image_id].place}")
        if not labels:
            problems.add("image without label", f"{place}: {name!r} has no label")
        for label in labels:
            if classes and label not in index:
                hint = did_you_mean(label, classes) or f", expected one of {', '.join(classes)}"
                problems.add("unknown class", f"{place}: {label!r}{hint}")
        known = sorted({index[label] for label in labels if label in index})
        rows.setdefault(image_id, Labelled(place, tuple(known)))
    return rows


def read_ids(path: Path, images: Mapping[str, Path], problems: Problems) -> dict[str, str]:
    """Read image ids, one per line; return the place (file:line) of each id."""
    places: dict[str, str] = {}
    for place, name in _entries(path, "empty split", problems):
        image_id = id_of(name, images)
        if image_id in places:
            problems.add("duplicate id", f"{place}: {image_id!r} is already listed at {places[image_id]}")
        places.setdefault(image_id, place)
    return places


def id_of(name: str, images: Mapping[str, Path]) -> str:
    """Return the image id that ``name`` stands for: ``a.jpg`` means ``a`` if that is the file's name."""
    stem = Path(name).stem
    return stem if name not in images and stem in images and images[stem].name == name else name


def _label_lines(path: Path, problems: Problems) -> Iterator[tuple[str, str, list[str]]]:
    """Yield place, image and labels of each line with two cells."""
    text = _text(path, problems)
    if text is None:
        return
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(table, [])]
        if header != HEADER:
            problems.add("bad header", f"{path}:1: found {','.join(header)!r}, expected {','.join(HEADER)!r}")
            return
        for cells in table:
            place = f"{path}:{table.line_num}"
            if len(cells) == len(HEADER):
                yield place, cells[0].strip(), cells[1].split()
            elif cells:
                problems.add("bad line", f"{place}: {len(cells)} cells, expected 2, as in `photo,cat dog`")
        if table.line_num < 2:
            problems.add("image without label", f"{path}: there is no line below the header")
    except csv.Error as error:
        problems.add("bad line", f"{path}:{table.line_num}: {error}")


def _entries(path: Path, if_empty: str, problems: Problems) -> list[tuple[str, str]]:
    """Return the lines that are not blank, each after its place."""
    text = _text(path, problems)
    if text is None:
        return []
    lines = [line.strip() for line in text.split("\n")]
    if not any(lines):
        problems.add(if_empty, f"{path}: the file is empty")
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line]


def _text(path: Path, problems: Problems) -> str | None:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        problems.add("missing file", f"{path}: {error.strerror}")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add("undecodable text", f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8")
    return None
