"""Files of PuzzleCAM."""

from __future__ import annotations

from pathlib import Path

from wsss.stages.cams.foreign import ForeignCams, class_numbers, entry
from wsss.stages.foreign.files import read_pickled_npy

FACTS = {"suffixes": [".npy"]}

STRIDE = 4
"""Pixels per cell of the small maps."""


def read(path: Path, most_values: int) -> ForeignCams:
    """Read {"keys", "hr_cam", "cam"}, as PuzzleCAM writes it; `cam`, of stride 4, serves alone too.

    `keys` begin with the background, 0, which has no map, and count the classes from 1.
    """
    content = read_pickled_npy(path, most_values)
    keys = class_numbers(entry(content, "keys"))
    if keys[:1] != (0,) or min(keys[1:], default=1) < 1:
        raise ValueError(f"the keys {list(keys)[:99]}, expected 0 for the background, then classes from 1 on")
    full = "hr_cam" in content
    maps = entry(content, "hr_cam" if full else "cam")
    return ForeignCams(maps, tuple(key - 1 for key in keys[1:]), 1 if full else STRIDE)
