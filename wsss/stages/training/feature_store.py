"""The features of a frozen backbone for many images, kept in a temporary file."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from wsss.runtime.disk import naming_full_disk
from wsss.runtime.processes import from_leader, process_count, wait_for_all


class FeatureStore:
    """Feature maps (h, w, C) float16 of many images, each of its own size, by index.

    The file has no name, so it is gone when the process is, however that ends. Processes that train together
    share one file. It is read and written, not mapped into memory: of the features of thousands of images, a
    process holds those that it works on, and the system caches as many as it has room for.
    """

    def __init__(self, folder: Path, grids: Sequence[tuple[int, int]], channels: int, section: str) -> None:
        """Reserve room in ``folder`` for maps of ``channels`` channels on ``grids`` (h, w).

        ``section`` is the network's in the configuration.

        Raises:
            OSError: the disk has less free; nothing is computed or written then.
        """
        self._shapes = [(*grid, channels) for grid in grids]
        sizes = [math.prod(shape) * np.dtype(np.float16).itemsize for shape in self._shapes]
        *self._places, needed = itertools.accumulate(sizes, initial=0)
        _require_free(folder, needed, section)
        with naming_full_disk(folder, size=needed):
            self._file = _nameless_file(folder)
            _reserve(self._file.fileno(), needed)

    def __getitem__(self, index: int) -> NDArray[np.float16]:
        """Read the map of an index; maps that were never written are 0."""
        values = np.empty(self._shapes[index], np.float16)
        place, left = self._places[index], values.data.cast("B")
        while left:
            read = os.pread(self._file.fileno(), len(left), place)
            if not read:
                raise OSError(f"the file of features ends at byte {place:,}")
            left[: len(read)] = read
            place, left = place + len(read), left[len(read) :]
        return values

    def __setitem__(self, index: int, values: NDArray[np.float16]) -> None:
        """Write the map of an index. Raises `ValueError` for another shape or dtype."""
        if values.shape != self._shapes[index] or values.dtype != np.float16:
            raise ValueError(f"{values.dtype} {values.shape}, expected float16 {self._shapes[index]}")
        place, left = self._places[index], np.ascontiguousarray(values).data.cast("B")
        while left:
            count = os.pwrite(self._file.fileno(), left, place)
            place, left = place + count, left[count:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _nameless_file(folder: Path) -> IO[bytes]:
    """Open an empty file without a name, the same one in all processes that train together."""
    if process_count() == 1:
        return tempfile.TemporaryFile(dir=folder)
    with tempfile.NamedTemporaryFile(dir=folder) as own:
        file = Path(from_leader(own.name)).open("r+b")  # noqa: SIM115 - closed on exit
        wait_for_all()  # the name may go when all have opened the file
    return file


def _reserve(file: int, needed: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, needed)
    else:  # macOS
        os.ftruncate(file, needed)


def _require_free(folder: Path, needed: int, section: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the backbone's features need {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB "
            f"free. Set {section}.train_on: {{kind: images}}, or a smaller {section}.input_scale."
        )
