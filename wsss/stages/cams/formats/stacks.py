"""Stacks of maps, for everyone who writes files for this program."""

from __future__ import annotations

from pathlib import Path

from wsss.stages.cams.foreign import ForeignCams, class_numbers, entry
from wsss.stages.foreign.files import read_npy, read_npz

FACTS = {"suffixes": [".npz", ".npy"]}


def read(path: Path, most_values: int) -> ForeignCams:
    """Read `.npz` with `scores` (K, H, W) and `classes` (K,), or `.npy` with a map for every class."""
    if path.suffix == ".npy":
        maps = read_npy(path, most_values)
        return ForeignCams(maps, tuple(range(len(maps))))
    content = read_npz(path, most_values)
    return ForeignCams(entry(content, "scores"), class_numbers(entry(content, "classes")))
