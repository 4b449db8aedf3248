"""Reading a binary file that may be truncated or hostile: sizes are checked before anything is allocated."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np

MAX_DIMENSIONS = 32


class Cursor:
    """A position in part of a memory-mapped file; whatever it takes is checked against the part's end."""

    def __init__(self, path: Path, data: memoryview, position: int, end: int) -> None:
        self.path = path
        self.data = data
        self.position = position
        self.end = end

    @classmethod
    def at_start_of(cls, path: Path) -> Self:
        """Map a file into memory, read-only.

        Raises:
            ValueError: if the file is empty.
        """
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise ValueError(f"{path}: the file is empty")
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return cls(path, data, 0, len(data))

    @property
    def left(self) -> int:
        """Bytes up to the end."""
        return self.end - self.position

    def error(self, problem: str) -> ValueError:
        """Make the exception that says what is wrong and where."""
        return ValueError(f"{self.path}: at byte {self.position}: {problem}")

    def part(self, size: int, what: str) -> Cursor:
        """Take the next ``size`` bytes as a cursor of their own.

        Raises:
            ValueError: if there are fewer.
        """
        if not 0 <= size <= self.left:
            raise self.error(f"{what} needs {size} bytes, only {self.left} are left")
        start = self.position
        self.position += size
        return Cursor(self.path, self.data, start, self.position)

    def rest(self) -> memoryview:
        """All bytes up to the end, without copying."""
        return self.data[self.position : self.end]

    def numbers(self, layout: str, what: str) -> tuple[Any, ...]:
        """Take little-endian numbers, ``layout`` as in `struct`.

        Raises:
            ValueError: if the file ends before.
        """
        layout = "<" + layout
        return struct.unpack(layout, self.part(struct.calcsize(layout), what).rest())

    def require_shape(self, shape: Sequence[int], what: str) -> None:
        """Check a shape read from the file.

        Raises:
            ValueError: if it has no or too many dimensions, or one below 1.
        """
        if not 1 <= len(shape) <= MAX_DIMENSIONS or min(shape) < 1:
            raise self.error(
                f"{what}: shape {tuple(shape)[: MAX_DIMENSIONS + 1]}, expected 1 to 32 sizes above 0"
            )

    def array(self, shape: Sequence[int], dtype: np.dtype[Any], what: str) -> np.ndarray:
        """Take an array as a read-only view of the file.

        Raises:
            ValueError: if the shape is impossible or the file ends before.
        """
        self.require_shape(shape, what)
        data = self.part(prod(shape) * dtype.itemsize, what)
        return np.frombuffer(data.rest(), dtype).reshape(shape)
