"""Names of classes, and the names that exporters and people give to what is no class."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from wsss.data.problems import Problems
from wsss.data.text import lines_of
from wsss.method.labels import BACKGROUND_NAME, IGNORE
from wsss.study.options import VocClass

BACKGROUND_NAMES = frozenset({BACKGROUND_NAME, "_background_", "__background__", "bg"})
"""The background, mask value 0; as a label, that an image has no class."""

UNLABELLED_NAMES = frozenset({"unlabeled", "unlabelled"})
"""Pixels, or images, that nobody has labelled."""

VOID_NAMES = UNLABELLED_NAMES | {"__ignore__", "_ignore_", "ignore", "void", "dontcare", "don't care"}
"""Pixels that belong to no class, mask value 255."""

NO_CLASS = BACKGROUND_NAMES | VOID_NAMES | {"none"}
"""Labels that name no class."""

BLANK_CELLS = frozenset({"nan", "n/a", "#n/a", "-", "–", "—"})
"""What spreadsheets and programs write into a cell that has no label."""

VOC_CLASSES: tuple[str, ...] = get_args(VocClass)
"""Classes of PASCAL VOC in the official order, mask values 1 … 20."""

SEPARATORS = ",;|"
"""Marks that separate labels, besides space."""


def is_background(name: str) -> bool:
    """Tell whether a name is one of the background's."""
    return name.casefold() in BACKGROUND_NAMES


def is_void(name: str) -> bool:
    """Tell whether a name is that of pixels without a class."""
    return name.casefold() in VOID_NAMES


def is_no_class(name: str) -> bool:
    """Tell whether a label says that there is nothing: `background`, `none`, `__ignore__`."""
    return name.casefold() in NO_CLASS


def is_unlabelled(name: str) -> bool:
    """Tell whether a name is that of what nobody has labelled."""
    return name.casefold() in UNLABELLED_NAMES


def is_blank(cell: str) -> bool:
    """Tell whether a cell of a table stands for an empty one."""
    return cell.casefold() in BLANK_CELLS


def read_classes(path: Path, problems: Problems) -> tuple[str, ...]:
    """Read the class names, one per line; the first has the mask value 1."""
    places: dict[str, str] = {}
    for place, name in lines_of(path, "bad class list", problems):
        if name in places:
            problems.add("bad class list", f"{place}: {name!r} is already listed at {places[name]}")
        elif is_background(name):
            problems.add("bad class list", f"{place}: remove {name!r}: it is always mask value 0")
        elif is_void(name):
            problems.add("bad class list", f"{place}: remove {name!r}: it is always mask value {IGNORE}")
        elif not name.isprintable():
            problems.add("bad class list", f"{place}: {name!r} has control characters")
        elif found := set(SEPARATORS) & set(name):
            problems.add(
                "bad class list", f"{place}: {name!r} contains {min(found)!r}, which separates labels"
            )
        places.setdefault(name, place)
    if len(places) >= IGNORE:
        problems.add("bad class list", f"{path}: {len(places)} classes, expected at most {IGNORE - 1}")
    return tuple(places)
