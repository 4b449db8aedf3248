"""Caffe's ``.caffemodel`` files: a ``NetParameter`` message in protobuf's wire format.

Only what holds weights is decoded. Of ``NetParameter``: ``layers`` (field 2, before 2015) and ``layer``
(100); of these the name and the blobs; of a blob its shape, as a list (7) or as four numbers (1 to 4), and
its data (5, or 8 in double precision). The published files of this kind hold VGG16.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from wsss.models.weights.arrays import State, as_tensors
from wsss.models.weights.cursor import MAX_DIMENSIONS, Cursor

FACTS = {"suffixes": (".caffemodel",)}

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10
#: Field of a layer in the net → fields of the name and of the blobs in that layer.
LAYER_FIELDS = {2: (4, 6), 100: (1, 7)}
OLD_SHAPE_FIELDS = (1, 2, 3, 4)
SHAPE_FIELD, DIMENSION_FIELD = 7, 1
#: Fields of the data, with their element types.
DATA_FIELDS: dict[int, np.dtype[Any]] = {5: np.dtype("<f4"), 8: np.dtype("<f8")}

CAFFE_LAYER = re.compile(r"conv[1-5]_[1-3]|fc[67]")


def read(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a VGG16, float32.

    Raises:
        ValueError: as for `read_caffemodel`.
    """
    return as_tensors(path, *vgg16_state(read_caffemodel(path)))


def read_caffemodel(path: Path) -> dict[str, list[np.ndarray]]:
    """Read the layers of a ``.caffemodel`` that have weights.

    Returns:
        Layer → its blobs in order (weights, then perhaps bias), float32 or float64; views of the mapped file
        where protobuf wrote the data in one piece.

    Raises:
        ValueError: saying what is wrong and at which byte, if the file is truncated or no such message.
    """
    layers: dict[str, list[np.ndarray]] = {}
    cursor = Cursor.at_start_of(path)
    for number, value in _fields(cursor):
        if number in LAYER_FIELDS:
            name, blobs = _read_layer(_message(cursor, number, value), *LAYER_FIELDS[number])
            if blobs and name in layers:
                raise cursor.error(f"a second layer {name!r} with weights")
            if blobs:
                layers[name] = blobs
    if not layers:
        raise ValueError(f"{path}: not a .caffemodel with weights: no layer with blobs in it")
    return layers


def _read_layer(cursor: Cursor, name_field: int, blobs_field: int) -> tuple[str, list[np.ndarray]]:
    name, blobs = "", []
    for number, value in _fields(cursor):
        if number == name_field:
            name = _text(_message(cursor, number, value))
        elif number == blobs_field:
            blobs.append(_read_blob(_message(cursor, number, value)))
    return name, blobs


@dataclass
class _Blob:
    shape: list[int] = field(default_factory=list)
    old_shape: dict[int, int] = field(default_factory=dict)
    data: memoryview | bytearray | None = None
    dtype: np.dtype[Any] = DATA_FIELDS[5]

    def add(self, piece: memoryview, dtype: np.dtype[Any]) -> None:
        """Append data; only data in several pieces is copied."""
        if self.data is None or dtype != self.dtype:
            self.data, self.dtype = piece, dtype
        elif isinstance(self.data, memoryview):
            self.data = bytearray(self.data) + piece
        else:
            self.data += piece


def _read_blob(cursor: Cursor) -> np.ndarray:
    blob = _Blob()
    for number, value in _fields(cursor):
        if number in OLD_SHAPE_FIELDS and isinstance(value, int):
            blob.old_shape[number] = value
        elif number == SHAPE_FIELD:
            blob.shape = _read_dimensions(_message(cursor, number, value))
        elif number in DATA_FIELDS and isinstance(value, Cursor):
            blob.add(value.rest(), DATA_FIELDS[number])
    shape = blob.shape or [blob.old_shape.get(number, 0) for number in OLD_SHAPE_FIELDS]
    cursor.require_shape(shape, "a blob")
    found, expected = len(blob.data or b""), prod(shape) * blob.dtype.itemsize
    if found != expected:
        raise cursor.error(f"a blob of shape {tuple(shape)} needs {expected} bytes of data, found {found}")
    return np.frombuffer(blob.data or b"", blob.dtype).reshape(shape)


def _read_dimensions(cursor: Cursor) -> list[int]:
    """Sizes stand one by one or packed into one field; protobuf asks readers to take both."""
    sizes: list[int] = []
    for number, value in _fields(cursor):
        if number == DIMENSION_FIELD and isinstance(value, int):
            sizes.append(value)
        elif number == DIMENSION_FIELD:
            packed = _message(cursor, number, value)
            while packed.left and len(sizes) <= MAX_DIMENSIONS:
                sizes.append(_varint(packed))
        if len(sizes) > MAX_DIMENSIONS:
            raise cursor.error(f"a blob of more than {MAX_DIMENSIONS} dimensions")
    return sizes


def _fields(cursor: Cursor) -> Iterator[tuple[int, int | Cursor]]:
    """Split a message into field numbers and their values: an integer, or the bytes of anything else."""
    while cursor.left:
        number, wire_type = divmod(_varint(cursor), 8)
        if number == 0:
            raise cursor.error("field number 0: not a protobuf message")
        if wire_type == VARINT:
            yield number, _varint(cursor)
        elif wire_type == LENGTH:
            yield number, cursor.part(_varint(cursor), f"field {number}")
        elif wire_type in (FIXED32, FIXED64):
            yield number, cursor.part(4 if wire_type == FIXED32 else 8, f"field {number}")
        else:
            raise cursor.error(f"field {number}: wire type {wire_type}, expected 0, 1, 2 or 5")


def _varint(cursor: Cursor) -> int:
    value = 0
    for index in range(MAX_VARINT_BYTES):
        if not cursor.left:
            raise cursor.error("the file or message ends within a number")
        byte = cursor.data[cursor.position]
        cursor.position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value
    raise cursor.error(f"a number of more than {MAX_VARINT_BYTES} bytes")


def _message(cursor: Cursor, number: int, value: int | Cursor) -> Cursor:
    if isinstance(value, int):
        raise cursor.error(f"field {number}: a number, expected bytes")
    return value


def _text(cursor: Cursor) -> str:
    try:
        return str(cursor.rest(), "utf-8")
    except UnicodeDecodeError as error:
        raise cursor.error("a layer's name is not UTF-8") from error


def vgg16_state(layers: Mapping[str, Sequence[np.ndarray]]) -> tuple[State, list[str]]:
    """Name the blobs of a Caffe file as VGG16 does; also list the layers that it has no use for.

    Old files give a bias four dimensions, the first three of size 1.
    """
    state: State = {}
    unused = []
    for layer, blobs in layers.items():
        if CAFFE_LAYER.fullmatch(layer) and len(blobs) == 2:
            state[f"{layer}.weight"], state[f"{layer}.bias"] = blobs[0], blobs[1].reshape(-1)
        else:
            unused.append(layer)
    return state, unused
