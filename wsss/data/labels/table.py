"""Image-level labels in a table: CSV as people write it, and lists of names and classes."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from wsss.data.class_names import is_background, is_blank, is_no_class
from wsss.data.labels.cells import LabelCells
from wsss.data.labels.columns import (
    IMAGE_HEADERS,
    LABEL_HEADERS,
    TRUE,
    Columns,
    Line,
    cell_of,
    find_columns,
    plain,
    share_of_images,
)
from wsss.data.names import ImageNames, without_suffix
from wsss.data.problems import Problems
from wsss.data.text import numbered, read_text

DELIMITERS = (",", ";", "\t", "|")

LOOKED_AT = 20
"""Lines from which the delimiter is told."""

FEW = 3
"""In a table of fewer lines each unknown name is told by itself."""

SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Splits by the names that people give them."""

logger = logging.getLogger(__name__)


class Row(NamedTuple):
    """The labels of an image: the place (file:line) where it comes first, and names of classes."""

    place: str
    names: tuple[str, ...]


@dataclass
class Table:
    """What a table says.

    Attributes:
        rows: By image id, or by the name in the table where there are no images to compare with.
        columns: Names of the classes that have columns of their own, in order; else empty.
        splits: By image id, where there is a column of them.
        mentioned: Ids and names in lines that problems name already.
        complete: Whether the whole table could be read.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    splits: dict[str, str] = field(default_factory=dict)
    mentioned: set[str] = field(default_factory=set)
    complete: bool = True


def read_table(path: Path, names: ImageNames, classes: Sequence[str], problems: Problems) -> Table:
    """Read image-level labels.

    The columns are found by their names, or by their content: one holds image names, and the classes are in a
    column of labels (one row per image, or one per label) or in a column for each class that holds 0 and 1.

    Args:
        path: CSV with commas, semicolons, tabs or `|`, or a list of names followed by classes.
        names: Finds the images; if there are none, names are not compared with files.
        classes: Class names if they are known; names with spaces are recognised then.
        problems: Collects what is wrong, each fault once.
    """
    found, faults = Problems(), len(problems)
    lines = table_lines(path, names, problems)
    if len(problems) > faults:
        return Table(complete=False)
    columns = find_columns(lines, names, found) if lines else None
    body = lines[columns.header :] if columns else []
    if columns and not body:
        found.add("image without label", f"{path}: there is no line below the header")
    elif not lines:
        found.add("image without label", f"{path}: there is no line")
    elif columns and (stranger := _strangers(path, body, columns, names)):
        found.add("label without image", stranger)
    problems.extend(found)
    if columns is None or found:
        return Table(complete=False)
    if columns.unused:
        logger.warning("%s: columns that are not used: %s", path, ", ".join(columns.unused))
    return _Reader(columns, names, classes, problems).read(body)


def table_lines(path: Path, names: ImageNames, problems: Problems) -> list[Line]:
    """Cut a table into cells; lines of blank cells, which spreadsheets leave behind, do not count."""
    text = read_text(path, problems)
    if text is None:
        return []
    text, told = _without_preface(text, names)
    delimiter = told or _delimiter(text, names)
    if delimiter is None:
        return list(_words(path, text, names))
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines = []
    start = 1
    try:
        for cells in table:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                lines.append(Line(f"{path}:{table.line_num}", stripped))
            start = table.line_num + 1
    except csv.Error as error:
        open_end = "end of data" in str(error)
        said = 'a cell begins with a quotation mark (") that nothing closes' if open_end else str(error)
        problems.add("bad line", f"{path}:{start if open_end else table.line_num}: {said}")
    return lines


def _without_preface(text: str, names: ImageNames) -> tuple[str, str | None]:
    """Blank the lines before a table: Excel's `sep=;`, and comments. Return the separator, if told."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator = None
    for number, line in enumerate(lines):
        told = re.fullmatch(r'"?sep=(.)"?[;,\t]*', line.strip(" \ufeff"), re.IGNORECASE)
        comment = line.startswith("#") and not any(map(names.find, re.split(r"[,;\t|]", line)))
        if not told and not comment and line.strip():
            return ("\n".join(lines), separator) if number else (text, None)
        separator = told[1] if told else separator
        lines[number] = ""
    return text, None


def _delimiter(text: str, names: ImageNames) -> str | None:
    """Return what separates the cells; None if nothing but spaces does.

    It makes most known names of the header, or finds most names of images in the first lines.
    """
    first = [line for _, line in numbered(text) if line][:LOOKED_AT]

    def known(delimiter: str) -> tuple[int, int, int]:
        rows = [[cell.strip(' "') for cell in line.split(delimiter)] for line in first]
        headers = sum(plain(cell) in IMAGE_HEADERS | LABEL_HEADERS for cell in rows[0])
        images = sum(any(map(names.find, row)) for row in rows)
        return headers, images, len(rows[0])

    found = [delimiter for delimiter in DELIMITERS if first and delimiter in first[0]]
    return max(found, key=known, default=None)


def _words(path: Path, text: str, names: ImageNames) -> Iterator[Line]:
    """Cut lines without delimiters: the longest beginning that names an image, then its classes."""
    for number, line in numbered(text):
        words = line.split()
        lengths = range(len(words), 1, -1)
        length = next((n for n in lengths if names.find(" ".join(words[:n]))), 1)
        if words:
            yield Line(f"{path}:{number}", [" ".join(words[:length]), " ".join(words[length:])])


def _strangers(path: Path, body: Sequence[Line], columns: Columns, names: ImageNames) -> str | None:
    """Say in one line that no name of a table is an image's; a few are told by their lines."""
    if len(body) < FEW or not names or share_of_images(columns.image, body, names):
        return None
    given = cell_of(body[0], columns.image)
    return (
        f"{path}: none of the {len(body)} names is an image's, e.g. {given!r} at {body[0].place}; the images "
        f"are called e.g. {names.example!r}"
    )


class _Reader:
    """Reads the lines below the header."""

    def __init__(
        self, columns: Columns, names: ImageNames, classes: Sequence[str], problems: Problems
    ) -> None:
        self.columns, self.names, self.classes, self.problems = columns, names, classes, problems
        self.table = Table()
        self.missing: set[str] = set()
        self.folded: dict[str, list[str]] = {}
        for name in classes:
            self.folded.setdefault(name.casefold(), []).append(name)
        self.lines: dict[str, list[tuple[str, tuple[str, ...]]]] = {}

    def read(self, body: Sequence[Line]) -> Table:
        """Read all lines; the labels of lines about the same image are put together."""
        cells = [self._label_cells(line) for line in body]
        repeated = Counter(cell_of(line, self.columns.image) for line in body).most_common(1)[0][1] > 1
        column = LabelCells([cell for row in cells for cell in row], self.classes, repeated)
        several = False
        for line, row in zip(body, cells, strict=True):
            if (image_id := self._image(line)) is not None:
                found = [self._meant(name) for cell in row for name in column.split(cell)]
                several |= len(found) > 1
                self._add(image_id, line, [*found, *self._flagged(line)])
        self._tell_contradictions(several or bool(self.columns.classes))
        self.table.columns = tuple(name for name in self.columns.classes.values() if self._is_class(name))
        return self.table

    def _is_class(self, name: str) -> bool:
        return name in self.classes or not (is_no_class(name) or is_blank(name))

    def _meant(self, name: str) -> str:
        """Return a known class that a name differs from in capitals alone; else the name."""
        alike = self.folded.get(name.casefold(), ()) if name not in self.classes else ()
        return next(iter(alike)) if len(alike) == 1 else name

    def _tell_contradictions(self, complete: bool) -> None:
        """Warn of images whose lines differ, where a line has all labels, or one says that there is none."""
        differing = []
        for places in self.lines.values():
            labels = [set(names) for _, names in places]
            none = [not names or any(map(is_background, names)) for names in labels]
            if (complete and any(names != labels[0] for names in labels)) or len(set(none)) > 1:
                differing.append(places)
        if differing:
            shown = ", ".join(f"{place} ({' '.join(names) or 'none'})" for place, names in differing[0][:FEW])
            logger.warning(
                "%d images have lines that differ; the labels of all lines count: %s", len(differing), shown
            )

    def _label_cells(self, line: Line) -> list[str]:
        """Return the cells with labels; those beyond the header are labels, too, that commas separate."""
        beyond = line.cells[self.columns.width :] if self.columns.open_end else []
        return [*(cell_of(line, column) for column in self.columns.labels), *beyond]

    def _flagged(self, line: Line) -> list[str]:
        columns = self.columns.classes.items()
        return [name for column, name in columns if cell_of(line, column).casefold() in TRUE]

    def _image(self, line: Line) -> str | None:
        """Return the id that a line is about; what is wrong with a name is told once."""
        name = cell_of(line, self.columns.image)
        ids = self.names.find(name) if self.names else {name}
        if len(ids) == 1 and name:
            return next(iter(ids))
        if not name:
            self.problems.add("label without image", f"{line.place}: there is no name of an image")
        elif name not in self.missing:
            self.missing.add(name)
            several = f"{name!r} may be any of {', '.join(sorted(ids)[:FEW])}: write its folder too"
            hidden = ": names that begin with a dot are passed over" if name.startswith(".") else ""
            said = several if ids else f"there is no image {name!r}{hidden}"
            self.problems.add("label without image", f"{line.place}: {said}")
        self.table.mentioned |= ids or {name, without_suffix(name)}
        return None

    def _add(self, image_id: str, line: Line, labels: Iterable[str]) -> None:
        row = self.table.rows.get(image_id, Row(line.place, ()))
        labels = tuple(labels)
        self.lines.setdefault(image_id, []).append((line.place, labels))
        more = (name for name in labels if self._is_class(name) and name not in row.names)
        self.table.rows[image_id] = row._replace(names=(*row.names, *dict.fromkeys(more)))
        if self.columns.split is not None:
            told = SPLITS.get(cell_of(line, self.columns.split).casefold())
            self.table.splits |= {image_id: told} if told else {}
