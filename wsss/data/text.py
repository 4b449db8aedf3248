"""Text files as people save them: with or without a byte order mark, with line ends of any system."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from wsss.data.names import same_form
from wsss.data.problems import Problems
from wsss.study.regular import irregular, regular_bytes

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_NO_TEXT = {
    b"PK\3\4": "a spreadsheet or another zip archive, save it as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of Excel's, save it as CSV",
    b"%PDF": "a PDF file, expected text",
}
"""What is no text, by its first bytes, and what helps."""

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff"))
"""Characters without width, which copying from a web page leaves at the ends of names."""


def read_text(path: Path, problems: Problems) -> str | None:
    """Read UTF-8, or UTF-16 with its mark, in the Unicode form NFC; None, and a problem, if that fails.

    Characters without width are left out.
    """
    if wrong := irregular(path):
        problems.add("missing file", f"{path}: {wrong}")
        return None
    try:
        content = regular_bytes(path)
        if wrong := next((what for start, what in _NO_TEXT.items() if content.startswith(start)), None):
            problems.add("undecodable text", f"{path}: {wrong}")
            return None
        encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
        text = same_form(content.decode(encoding).translate(_INVISIBLE))
        if "\0" not in text:
            return text
        problems.add(
            "undecodable text", f"{path}: has zero bytes, as UTF-16 without its mark: save it as UTF-8"
        )
    except OSError as error:
        problems.add("missing file", f"{path}: {error.strerror}")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{content[error.start]:02x} is not UTF-8"
        problems.add("undecodable text", f"{path}:{line}: {wrong}, save the file as UTF-8")
    except ValueError as error:
        problems.add("undecodable text", str(error))
    return None


def lines_of(path: Path, if_empty: str, problems: Problems) -> list[tuple[str, str]]:
    """Return the lines that are not blank, each after its place (file:line).

    An empty file is a problem of the kind ``if_empty``.
    """
    text = read_text(path, problems)
    if text is None:
        return []
    found = [(f"{path}:{number}", line) for number, line in numbered(text) if line]
    if not found:
        problems.add(if_empty, f"{path}: the file is empty")
    return found


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and content of each line; other marks that Unicode counts as line ends are left alone."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    yield from enumerate(map(str.strip, lines), start=1)
