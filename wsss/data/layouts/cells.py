"""Splitting the cells of a column of labels into names of classes, as the whole column is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

SEPARATORS = (";", "|", ",", "\n")
"""Between the labels of a cell, besides space; the first that occurs in the column counts."""


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
        several = [cell for cell in cells if cell not in self._classes and not _is_list(cell)]
        self._separator = next((mark for mark in SEPARATORS if any(mark in cell for cell in several)), None)
        self._one_name = one_per_row and not classes
        self._longest = max((len(name.split()) for name in classes), default=1)

    def split(self, cell: str) -> list[str]:
        """Return the names in a cell; a list as Python and JSON write it loses its brackets and quotes."""
        if _is_list(cell):
            parts = [part.strip().strip("\"'") for part in cell[1:-1].split(",")]
        elif self._separator is not None and cell not in self._classes:
            parts = [part.strip() for part in cell.split(self._separator)]
        elif self._one_name or cell in self._classes:
            parts = [cell]
        else:
            parts = list(self._by_words(cell.split()))
        return [part for part in parts if part]

    def _by_words(self, words: Sequence[str]) -> Iterator[str]:
        """Take the longest known name from the front each time: `stop sign dog` is two."""
        start = 0
        while start < len(words):
            lengths = range(min(self._longest, len(words) - start), 1, -1)
            length = next((n for n in lengths if " ".join(words[start : start + n]) in self._classes), 1)
            yield " ".join(words[start : start + length])
            start += length


def _is_list(cell: str) -> bool:
    return cell.startswith("[") and cell.endswith("]")
