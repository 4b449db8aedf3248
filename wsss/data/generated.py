"""Files that a data set draws for itself: what an earlier configuration left behind is removed."""

from __future__ import annotations

import shutil
from collections.abc import Container, Iterable
from pathlib import Path


def remove_stale(found: Iterable[Path], wanted: Container[str]) -> None:
    """Remove the files and folders of `found` whose name without extension is not in `wanted`."""
    for path in found:
        if path.stem in wanted:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
