"""CAMs as other systems write them, before they are checked, and what their readers share."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ForeignCams(NamedTuple):
    """Maps (K, h, w) of any float type and their K class indices; `stride` is that of the maps, in pixels."""

    maps: NDArray[Any]
    indices: tuple[int, ...]
    stride: int = 1


KEYS = {"high_res": "irn", "attn_highres": "clip_es", "hr_cam": "puzzlecam", "cam": "irn"}
"""Keys of dictionaries, and the format that has them."""


def _other_format(names: Sequence[str]) -> str:
    return next((f"; `format: {found}` has these keys" for key, found in KEYS.items() if key in names), "")


def entry(content: Mapping[Any, Any], key: str) -> NDArray[Any]:
    """Find an array, or a list of numbers; what a pickle may hold besides is not handed to numpy."""
    value = content.get(key)
    if isinstance(value, (list, tuple)) and all(type(item) in (int, float) for item in value):
        return np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise ValueError(f"no array {key!r}; there are {reprlib.repr(list(content))}{_hint(content)}")
    return value


def _hint(content: Mapping[Any, Any]) -> str:
    """Name the format whose files have such keys."""
    if content and all(type(key) is int for key in content):
        return "; `format: psa` has numbers of classes as keys"
    return _other_format([key for key in content if isinstance(key, str)])


def class_numbers(numbers: NDArray[Any]) -> tuple[int, ...]:
    """Check class indices (K,) that a file holds as numbers, or as text of digits.

    Raises:
        ValueError: It is any other array.
    """
    if numbers.ndim == 1 and numbers.dtype.kind == "U":
        names = numbers.tolist()
        if not all(name.isdecimal() for name in names):
            found = reprlib.repr(names)
            raise ValueError(
                f"{found} for class numbers, expected whole numbers from 0 on{_other_format(names)}"
            )
        return tuple(map(int, names))
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
        raise ValueError(f"{numbers.shape} {numbers.dtype} for class numbers, expected whole numbers (K,)")
    return tuple(numbers.tolist())
