"""Files of PSA, SEAM and MCTformer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsss.stages.cams.foreign import ForeignCams, class_numbers
from wsss.stages.foreign.files import read_pickled_npy

FACTS = {"suffixes": [".npy"]}


def read(path: Path, most_values: int) -> ForeignCams:
    """Read {class: (H, W)}, as PSA, SEAM and MCTformer write it."""
    content = read_pickled_npy(path, most_values)
    maps = list(content.values())
    if not all(isinstance(values, np.ndarray) for values in maps):
        raise ValueError("a dictionary whose values are not all arrays, expected {class: (H, W)}")
    classes = class_numbers(np.array(list(content)))
    if len(sizes := {values.shape for values in maps}) > 1:
        raise ValueError(f"maps of different sizes: {' and '.join(map(str, sorted(sizes)))}")
    return ForeignCams(np.stack(maps) if maps else np.zeros((0, 0, 0)), classes)
