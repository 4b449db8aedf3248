"""Words that several messages share."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`, did you mean …?` where a known word comes close, else nothing."""
    close = difflib.get_close_matches(given, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def near(path: Path | str) -> str:
    """A path as people type it: relative to the working directory if it is below it, else absolute."""
    absolute = Path(os.path.abspath(path))
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
