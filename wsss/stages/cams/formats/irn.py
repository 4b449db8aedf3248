"""Files of IRN, ReCAM and AdvCAM."""

from __future__ import annotations

from pathlib import Path

from wsss.stages.cams.foreign import ForeignCams, class_numbers, entry
from wsss.stages.foreign.files import read_pickled_npy

FACTS = {"suffixes": [".npy"]}

IRN_STRIDE = 4
"""Pixels per cell of the small maps."""


def read(path: Path, most_values: int) -> ForeignCams:
    """Read {"keys", "high_res", "cam"}, as IRN, ReCAM and AdvCAM do; `cam`, of stride 4, serves alone too."""
    content = read_pickled_npy(path, most_values)
    full = "high_res" in content
    maps = entry(content, "high_res" if full else "cam")
    return ForeignCams(maps, class_numbers(entry(content, "keys")), 1 if full else IRN_STRIDE)
