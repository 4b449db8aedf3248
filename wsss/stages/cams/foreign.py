"""CAMs as other systems write them, before they are checked, and what their readers share."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ForeignCams(NamedTuple):
    """Maps (K, h, w) of any float type and their K class indices; `stride` is that of the maps, in pixels."""

    maps: NDArray[Any]
    indices: tuple[int, ...]
    stride: int = 1


def entry(content: Mapping[Any, Any], key: str) -> NDArray[Any]:
    """Find an array, or a list of numbers; what a pickle may hold besides is not handed to numpy."""
    value = content.get(key)
    if isinstance(value, (list, tuple)) and all(type(item) in (int, float) for item in value):
        return np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise ValueError(f"no array {key!r}; there are {reprlib.repr(list(content))}")
    return value


def class_numbers(numbers: NDArray[Any]) -> tuple[int, ...]:
    """Check class indices (K,) that a file holds as numbers. Raises `ValueError` for any other array."""
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise ValueError(f"{numbers.shape} {numbers.dtype} for class numbers, expected whole numbers (K,)")
    return tuple(numbers.tolist())
