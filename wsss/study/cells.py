"""Cells of tables that people open in a spreadsheet, which runs what looks like a formula.

Names of files and classes come from elsewhere: a photograph called `=HYPERLINK(…).jpg` would be run by
whoever opens a table that names it. Such texts get an apostrophe, which spreadsheets take for text, and which
our own readers take off again. Numbers are left alone, negative ones too.
"""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MARK = "'"


def cell(value: object) -> object:
    """Mark a text that a spreadsheet would run; anything else comes back as it is."""
    return f"{_MARK}{value}" if isinstance(value, str) and _is_formula(value) else value


def cell_text(text: str) -> str:
    """Reverse `cell` for a text that was read."""
    return text[len(_MARK) :] if text.startswith(_MARK) and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Tell whether a text is run, or is one with marks, so that `cell_text` reverses every `cell`."""
    bare = text.lstrip(_MARK)
    return bare.startswith(_STARTS) and not (bare == text and _is_number(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
