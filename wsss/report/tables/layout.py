"""Tables of text, as Markdown and as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from markupsafe import Markup

from wsss.report.rendering import render
from wsss.report.sections import Cell, Line, Section

Kind = Literal["plain", "study", "difference"]

MISSING = "–"

NUMBER = re.compile(rf"|{MISSING}|[+-]?[\d,.]+")
"""A cell of a column of numbers."""

WIDE = 12
"""Tables of more columns are set smaller, to fit on a page."""


class Row(NamedTuple):
    """A line of a table; the first cell names it."""

    cells: tuple[str, ...]
    kind: Kind = "plain"


class Table(NamedTuple):
    """A table with a title, and a note below it; the first of the columns holds the names of the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """The cells of the head and of all rows."""
        return [self.columns, *(row.cells for row in self.rows)]

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers, below its head."""
        return [all(map(NUMBER.fullmatch, column[1:])) for column in zip(*self.lines, strict=True)]

    def transposed(self) -> Table:
        """Make rows of the columns, for when there are too many of them."""
        head, *rows = zip(*self.lines, strict=True)
        return self._replace(columns=head, rows=tuple(map(Row, rows)))


def percent(share: float | None) -> str:
    """Write a share in [0, 1] in percent, as the paper does."""
    return MISSING if share is None else decimal(100 * share)


def decimal(value: float | None) -> str:
    """Write a value with one decimal."""
    return MISSING if value is None else f"{value:.1f}"


def difference(share: float | None, published: float | None) -> str:
    """Write the difference between a share in [0, 1], in percent, and a published value in percent."""
    return MISSING if share is None or published is None else f"{100 * share - published:+.1f}"


def markdown(title: str, parts: Iterable[str | Table]) -> str:
    """Write paragraphs and tables as Markdown whose columns line up in a terminal."""
    paragraphs = [f"# {title}"]
    for part in parts:
        paragraphs += _paragraphs(part) if isinstance(part, Table) else [part]
    return "\n\n".join(paragraphs) + "\n"


def _paragraphs(table: Table) -> list[str]:
    lines = [[cell.replace("|", "\\|") for cell in cells] for cells in table.lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    marks = [
        f"{'-' * (width + 1)}{':' if right else '-'}"
        for width, right in zip(widths, table.numeric, strict=True)
    ]
    head, *rows = (_line(cells, widths, table.numeric) for cells in lines)
    return [
        f"## {table.title}",
        "\n".join([head, f"|{'|'.join(marks)}|", *rows]),
        *filter(None, [table.note]),
    ]


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        f"{cell:>{width}}" if right else f"{cell:<{width}}"
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def html(parts: Iterable[str | Table]) -> Markup:
    """Write paragraphs and tables as HTML; tables of many columns are set smaller."""
    return render(
        "tables", parts=[_section(part) if isinstance(part, Table) else str(part) for part in parts]
    )


def _section(table: Table) -> Section:
    kinds = ["number" if numeric else "text" for numeric in table.numeric]
    head, *rows = (
        tuple(Cell(text, kind=kind) for text, kind in zip(cells, kinds, strict=True)) for cells in table.lines
    )
    lines = (Line(cells, row.kind) for cells, row in zip(rows, table.rows, strict=True))
    size = "wide" if len(table.columns) > WIDE else "plain"
    return Section(table.title, head, tuple(lines), size, table.note)
