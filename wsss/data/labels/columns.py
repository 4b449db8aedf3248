"""Which columns of a table hold image names and classes: told by their headers, or by what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wsss.data.names import ImageNames
from wsss.data.problems import Problems

EXPECTED = "a column of image names and one of labels, as in `image,labels`, or a column for each class"

IMAGE_HEADERS = frozenset(
    [
        "image",
        "images",
        "imageid",
        "imagename",
        "imagepath",
        "imagefile",
        "imagefilename",
        "img",
        "imgs",
        "imgid",
        "imgname",
        "imgpath",
        "file",
        "files",
        "filename",
        "filepath",
        "fname",
        "path",
        "name",
        "id",
        "photo",
        "photos",
        "photoname",
        "photograph",
        "picture",
        "pictures",
        "pic",
        "foto",
    ]
)
LABEL_HEADERS = frozenset(
    [
        "label",
        "labels",
        "labelname",
        "class",
        "classes",
        "classname",
        "classnames",
        "category",
        "categories",
        "categoryname",
        "tag",
        "tags",
        "target",
        "targets",
        "species",
        "object",
        "objects",
        "choice",
        "choices",
    ]
)
NO_CLASS_HEADERS = frozenset(
    ["annotator", "annotationid", "difficult", "occluded", "truncated", "iscrowd", "crowd", "reviewed"]
)
"""Columns of 0 and 1, or of a number for all, that tell something else than a class."""

SPLIT_HEADERS = frozenset({"split", "subset", "set", "partition"})

TRUE, FALSE = (
    frozenset({"1", "1.0", "1,0", "true", "yes", "x", "y", "wahr", "vrai"}),
    frozenset({"", "0", "0.0", "0,0", "-1", "false", "no", "n", "falsch", "faux"}),
)
"""Cells of a column that tells one class."""

LIKELY = 0.5
"""Share of a column's cells that must be images, for it to count as theirs without being called so."""


class Line(NamedTuple):
    """A line of a table: its place (file:line) and its cells."""

    place: str
    cells: list[str]


class Columns(NamedTuple):
    """Positions of a table's columns.

    `classes` are those that tell one class each, by its name; `width` is the number of all columns, `header`
    whether their names stand in the first line, and `unused` are the names of those that tell nothing.
    """

    image: int
    labels: tuple[int, ...]
    classes: Mapping[int, str]
    split: int | None
    width: int
    header: bool
    unused: tuple[str, ...]

    @property
    def open_end(self) -> bool:
        """Whether labels come last, so that cells beyond the header are labels too."""
        return self.width - 1 in self.labels


def plain(header: str) -> str:
    """Bring the name of a column to letters: `Image-Name ` to `imagename`, `label2` to `label`."""
    return re.sub(r"[\W_]+|\d+$", "", header.casefold())


def cell_of(line: Line, column: int) -> str:
    """Return a cell; lines may be shorter than the header."""
    return line.cells[column] if column < len(line.cells) else ""


def share_of_images(column: int, lines: Sequence[Line], names: ImageNames) -> float:
    """Return the share of a column's cells that name an image."""
    return sum(bool(names.find(cell_of(line, column))) for line in lines) / max(len(lines), 1)


def find_columns(lines: Sequence[Line], names: ImageNames, problems: Problems) -> Columns | None:
    """Tell the columns of a table apart; None, and a problem, where that is not clear."""
    place, first = lines[0]
    head = [plain(cell) for cell in first] if _is_header(lines[0], names) else []
    body = lines[bool(head) :]
    count = len(head) or 2
    image = _image_column(head, count, body, names)
    labels = [c for c, name in enumerate(head) if name in LABEL_HEADERS and c != image]
    if image is not None and labels and _is_swapped(image, labels, body, names):
        swapped = f"{first[image]!r} holds classes and {first[labels[0]]!r} the images: swap the two names"
        problems.add("swapped columns", f"{place}: the column {swapped}")
        return None
    split = next((c for c, name in enumerate(head) if name in SPLIT_HEADERS), None)
    others = [c for c in range(count) if c not in (image, split, *labels)]
    may_flag = [c for c in others if head and first[c] and head[c] not in NO_CLASS_HEADERS]
    flags = {c: first[c] for c in may_flag if _is_flag(c, body)} if not labels else {}
    if not labels and not flags and len(others) == 1:
        labels = others
    if said := _no_flags(place, first, others, body) if head and not labels and not flags else None:
        problems.add("bad column", said)
        return None
    if image is None or not (labels or flags):
        problems.add("bad header", f"{place}: found {','.join(first)!r:.200}, expected {EXPECTED}")
        return None
    unused = tuple(first[c] for c in others if head and first[c] and c not in (*labels, *flags))
    return Columns(image, tuple(labels), flags, split, count, bool(head), unused)


def _is_header(line: Line, names: ImageNames) -> bool:
    """Tell whether a line names columns: an image may be called `image`, too."""
    known = set(map(plain, line.cells))
    if known & IMAGE_HEADERS and (known & LABEL_HEADERS or not names):
        return True
    return bool(names) and not any(map(names.find, filter(None, line.cells)))


def _image_column(head: Sequence[str], count: int, body: Sequence[Line], names: ImageNames) -> int | None:
    """Return the column of image names: the likeliest of those that are called so, or else of all."""
    shares = {c: share_of_images(c, body, names) for c in range(count)} if names else {}
    called_so = [c for c, name in enumerate(head) if name in IMAGE_HEADERS]
    if called_so:
        return max(called_so, key=lambda c: shares.get(c, 0.0))
    if not names:
        return 0
    likeliest = max(shares, key=lambda c: shares[c], default=None)
    return likeliest if likeliest is not None and shares[likeliest] >= LIKELY else None


def _is_swapped(image: int, labels: Iterable[int], body: Sequence[Line], names: ImageNames) -> bool:
    if not names or share_of_images(image, body, names):
        return False
    return any(share_of_images(column, body, names) >= LIKELY for column in labels)


def _no_flags(place: str, head: Sequence[str], columns: Sequence[int], body: Sequence[Line]) -> str | None:
    """Say that several columns hold probabilities, which tell no classes; None if they do not."""
    shares = [c for c in columns if head[c] and body and all(_is_share(cell_of(line, c)) for line in body)]
    if len(shares) < 2:
        return None
    examples = ((head[c], cell_of(line, c)) for c in shares for line in body)
    name, cell = next((n, cell) for n, cell in examples if cell.casefold() not in TRUE | FALSE)
    return (
        f"{place}: the column {name!r} holds {cell}, expected 1 or 0: whether an image shows the class, not "
        "how likely it does"
    )


def _is_share(cell: str) -> bool:
    return bool(re.fullmatch(r"1|[01][.,]\d+|0|\d[.,]?\d*e-\d+", cell.casefold()))


def _is_flag(column: int, body: Sequence[Line]) -> bool:
    cells = {cell_of(line, column).casefold() for line in body}
    return bool(cells - {""}) and cells <= TRUE | FALSE
