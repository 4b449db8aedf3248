"""Tables as data, which the template `table.html.j2` draws."""

from __future__ import annotations

from typing import NamedTuple


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: what it says; HTML, such as `markupsafe.Markup`, stays HTML.
        share: of a value in [0, 1], the length of a bar below it.
        colour: of the bar, or of the text in the head; cells without one have no bar.
        kind: class for the style sheet.
        detail: a smaller second line, in the head.
    """

    text: str
    share: float | None = None
    colour: str = ""
    kind: str = ""
    detail: str = ""


class Line(NamedTuple):
    """A row; the first cell names it. `kind` is a class for the style sheet."""

    cells: tuple[Cell, ...]
    kind: str = ""


class Section(NamedTuple):
    """A table with a heading above and a note below, both of which may be empty."""

    title: str
    head: tuple[Cell, ...]
    lines: tuple[Line, ...]
    kind: str = ""
    note: str = ""
