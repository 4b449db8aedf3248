"""Splitting the cells of a column of labels into names of classes, as the whole column is written."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

SEPARATORS = (";", "|", ",", "\n")
"""Between the labels of a cell, besides space; the first that occurs in the column counts."""

BETWEEN_KNOWN = ("+", "/", "&")
"""Separators as well, where all that they separate are known classes."""

_NAMING = re.compile(r"choice|label|class|taxonomy")
"""Keys of annotations below which names of classes are."""


class LabelCells:
    """Knows how a column separates labels.

    Args:
        cells: All cells of the column.
        classes: The class names, if they are known: names with spaces are recognised then.
        one_per_row: Whether the table repeats an image for each of its labels. Without known classes a cell
            is one name then, spaces included.
    """

    def __init__(self, cells: Collection[str], classes: Sequence[str], one_per_row: bool) -> None:
        self._classes = frozenset(classes)
        several = [cell for cell in cells if cell not in self._classes and _parsed(cell) is None]
        self._separator = next((mark for mark in SEPARATORS if any(mark in cell for cell in several)), None)
        self._one_name = one_per_row and not classes
        self._longest = max((len(name.split()) for name in classes), default=1)

    def split(self, cell: str) -> list[str]:
        """Return the names in a cell; a list as Python and JSON write it loses its brackets and quotes."""
        parsed = _parsed(cell)
        if parsed is not None:
            parts = parsed
        elif known := self._between_known(cell):
            parts = known
        elif self._separator is not None and cell not in self._classes:
            parts = [part.strip() for part in cell.split(self._separator)]
        elif self._one_name or cell in self._classes:
            parts = [cell]
        else:
            parts = list(self._by_words(cell.split()))
        return [part for part in parts if part]

    def _between_known(self, cell: str) -> list[str]:
        """Return the classes in `cat+dog`; none if they are not all known, or the cell is one class."""
        for mark in BETWEEN_KNOWN if cell not in self._classes else ():
            parts = [part.strip() for part in cell.split(mark)]
            if len(parts) > 1 and self._classes.issuperset(parts):
                return parts
        return []

    def _by_words(self, words: Sequence[str]) -> Iterator[str]:
        """Take the longest known name from the front each time: `stop sign dog` is two."""
        start = 0
        while start < len(words):
            lengths = range(min(self._longest, len(words) - start), 1, -1)
            length = next((n for n in lengths if " ".join(words[start : start + n]) in self._classes), 1)
            yield " ".join(words[start : start + length])
            start += length


def names_in(value: Any, key: str = "") -> Iterator[str]:
    """Yield the texts below keys such as `choices`, `rectanglelabels` and `taxonomy`, or those of lists."""
    if isinstance(value, str) and _NAMING.search(key) and value.strip():
        yield value.strip()
    elif isinstance(value, list):
        for item in value[-1:] if key == "taxonomy" and all(isinstance(i, str) for i in value) else value:
            yield from names_in(item, key)
    elif isinstance(value, dict):
        for inner, item in value.items():
            yield from names_in(item, inner)


def _parsed(cell: str) -> list[str] | None:
    """Return the names in a cell of JSON, or a list as Python writes it; None for other cells."""
    if (cell[:1], cell[-1:]) not in (("[", "]"), ("{", "}")):
        return None
    try:
        return list(names_in(json.loads(cell), "label"))
    except (ValueError, RecursionError):
        pass
    return [part.strip().strip("\"'") for part in cell[1:-1].split(",")] if cell[0] == "[" else None
