"""Mask values: the numbers of a label map, and how a data set's classes become such numbers.

Background is 0 and the classes are 1…C, in the order of the data set's class names; 255 is no class. Only a
classifier's outputs and image-level labels count classes from 0 (class indices); everything from the first
CAM on holds mask values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BACKGROUND = 0
IGNORE = 255
"""Unknown: void borders of true masks, undecided pixels of confident regions."""

BACKGROUND_NAME = "background"


def class_values(indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
    """Turn class indices into mask values.

    Args:
        indices: (K,) 0-based positions in the data set's class names, which are also a classifier's outputs.

    Returns:
        (K,) int64 in 1…254, in the order given.

    Raises:
        ValueError: an index has no mask value: it is negative or above 253.

    """
    values = np.asarray(indices, dtype=np.int64).reshape(-1) + 1
    if values.size and not BACKGROUND < values.min() <= values.max() < IGNORE:
        raise ValueError(
            f"class_values: expected class indices in 0…{IGNORE - 2}, got {(values - 1).tolist()}"
        )
    return values


def value_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Name the mask values: "background", then the classes, so that a mask value is the index of its name."""
    return (BACKGROUND_NAME, *class_names)
