"""Files of PSA, SEAM and MCTformer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsss.stages.cams.foreign import ForeignCams, class_numbers
from wsss.stages.foreign.files import read_pickled_npy

FACTS = {"suffixes": [".npy"]}

LONGEST_KEY = 80
"""Characters of a key: some write the number of a class as text."""

SHOWN = 5
"""So many of the sizes are named where they differ."""


def read(path: Path, most_values: int) -> ForeignCams:
    """Read {class: (H, W)}, as PSA, SEAM and MCTformer write it."""
    content = read_pickled_npy(path, most_values)
    maps = list(content.values())
    if not all(isinstance(values, np.ndarray) for values in maps):
        raise ValueError("a dictionary whose values are not all arrays, expected {class: (H, W)}")
    # An array of texts has room for the longest in each place: it is made of short ones only.
    if long := next((key for key in content if isinstance(key, str) and len(key) > LONGEST_KEY), None):
        raise ValueError(
            f"a key of {len(long)} characters, {long[:LONGEST_KEY]!r} …, expected numbers of classes"
        )
    classes = class_numbers(np.array(list(content)))
    if len(sizes := {values.shape for values in maps}) > 1:
        raise ValueError(f"maps of different sizes: {' and '.join(map(str, sorted(sizes)[:SHOWN]))}")
    return ForeignCams(np.stack(maps) if maps else np.zeros((0, 0, 0)), classes)
