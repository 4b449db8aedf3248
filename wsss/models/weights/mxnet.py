"""MXNet's ``.params`` files: dense arrays with names, in the layouts of 2016 (V0), V1 and V2.

A file is a list header, the arrays, and their names. An array is its shape, a device, an element type and its
data, all little-endian; V1 and V2 open it with a magic number and write sizes with 64 bits, V2 also tells
dense from sparse. The published files of this kind hold ResNet38.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from wsss.models.weights.arrays import State, as_tensors
from wsss.models.weights.cursor import MAX_DIMENSIONS, Cursor

FACTS = {"suffixes": (".params",)}

LIST_MAGIC = 0x112
V1_MAGIC = 0xF993FAC8
V2_MAGIC = 0xF993FAC9
DENSE = 0
#: Element types in the order of their numbers.
DTYPES = tuple(np.dtype(name) for name in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8"))
#: The fewest bytes of an array (one dimension, device, type) and of a name (its length).
SMALLEST_ARRAY = 20
SMALLEST_NAME = 8

MXNET_SUFFIXES = {
    "weight": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_var": "running_var",
}
#: res2a_branch2a_weight, bn4b3_branch2b1_gamma: kind, stage, "a" or the block's number, branch, what it is.
MXNET_BLOCK = re.compile(
    r"(res|bn)([2-7])(?:a|b(\d+))_(branch\w+?)_(weight|gamma|beta|moving_mean|moving_var)"
)
MXNET_PLAIN = re.compile(r"(conv1a|bn7)_(weight|gamma|beta|moving_mean|moving_var)")


def read(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a ResNet38, float32.

    Raises:
        ValueError: as for `read_params`.
    """
    return as_tensors(path, *resnet38_state(read_params(path)))


def read_params(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a ``.params`` file.

    Returns:
        Name as in the file (``arg:…``, ``aux:…``) → array, a read-only view of the memory-mapped file.

    Raises:
        ValueError: saying what is wrong and at which byte, if the file is truncated or no such list.
    """
    cursor = Cursor.at_start_of(path)
    magic, _reserved = cursor.numbers("QQ", "the header")
    if magic != LIST_MAGIC:
        raise ValueError(
            f"{path}: not an MXNet .params file: it starts with {magic:#x}, expected {LIST_MAGIC:#x}"
        )
    arrays = [_read_array(cursor, index) for index in range(_read_count(cursor, "arrays", SMALLEST_ARRAY))]
    names = [_read_name(cursor) for _ in range(_read_count(cursor, "names", SMALLEST_NAME))]
    if cursor.left:
        raise cursor.error(f"{cursor.left} bytes follow the last name, expected the end of the file")
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise cursor.error(f"{len(set(names))} different names for {len(arrays)} arrays")
    return dict(zip(names, arrays, strict=True))


def _read_count(cursor: Cursor, what: str, smallest: int) -> int:
    (count,) = cursor.numbers("Q", f"the number of {what}")
    if count * smallest > cursor.left:
        raise cursor.error(f"{count} {what} announced, but only {cursor.left} bytes are left")
    return int(count)


def _read_array(cursor: Cursor, index: int) -> np.ndarray:
    what = f"array {index}"
    shape = _read_shape(cursor, what)
    _device, _device_id, type_number = cursor.numbers("iii", what)
    if not 0 <= type_number < len(DTYPES):
        raise cursor.error(f"{what}: element type {type_number}, expected 0 to {len(DTYPES) - 1}")
    return cursor.array(shape, DTYPES[type_number], what)


def _read_shape(cursor: Cursor, what: str) -> tuple[int, ...]:
    (magic,) = cursor.numbers("I", what)
    if magic not in (V1_MAGIC, V2_MAGIC):
        return _read_sizes(cursor, magic, "I", what)
    if magic == V2_MAGIC:
        (storage,) = cursor.numbers("i", what)
        if storage != DENSE:
            raise cursor.error(f"{what}: storage type {storage}, only dense arrays (0) can be read")
    (dimensions,) = cursor.numbers("I", what)
    return _read_sizes(cursor, dimensions, "q", what)


def _read_sizes(cursor: Cursor, dimensions: int, layout: str, what: str) -> tuple[int, ...]:
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise cursor.error(
            f"{what}: {dimensions} dimensions, expected 1 to {MAX_DIMENSIONS} (or an unknown layout)"
        )
    return cursor.numbers(layout * dimensions, what)


def _read_name(cursor: Cursor) -> str:
    (length,) = cursor.numbers("Q", "the length of a name")
    name = cursor.part(length, "a name").rest()
    try:
        return str(name, "utf-8")
    except UnicodeDecodeError as error:
        raise cursor.error("a name is not UTF-8") from error


def resnet38_state(arrays: Mapping[str, np.ndarray]) -> tuple[State, list[str]]:
    """Name the arrays of an MXNet file as ResNet38 does; also list the names that it has no use for."""
    state: State = {}
    unused = []
    for name, array in arrays.items():
        key = resnet38_key(name)
        if key is None:
            unused.append(name)
        else:
            state[key] = array
    return state, unused


def resnet38_key(name: str) -> str | None:
    """``arg:res2b1_branch2a_weight`` → ``b2_1.conv_branch2a.weight``; None for what ResNet38 has not."""
    name = name.removeprefix("arg:").removeprefix("aux:")
    if match := MXNET_PLAIN.fullmatch(name):
        return f"{match[1]}.{MXNET_SUFFIXES[match[2]]}"
    if match := MXNET_BLOCK.fullmatch(name):
        kind = "conv" if match[1] == "res" else "bn"
        block = f"b{match[2]}_{match[3]}" if match[3] else f"b{match[2]}"
        return f"{block}.{kind}_{match[4]}.{MXNET_SUFFIXES[match[5]]}"
    return None
