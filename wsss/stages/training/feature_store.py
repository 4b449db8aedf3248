"""The features of a frozen backbone for many images, kept in a temporary memory-mapped file."""

from __future__ import annotations

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
    share one file, and the memory that caches it.
    """

    def __init__(self, folder: Path, grids: Sequence[tuple[int, int]], channels: int, section: str) -> None:
        """Reserve room in ``folder`` for maps of ``channels`` channels on ``grids`` (h, w).

        ``section`` is the network's in the configuration.

        Raises:
            OSError: the disk has less free; nothing is computed or written then.
        """
        self._shapes = [(*grid, channels) for grid in grids]
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        self._starts = [0, *ends[:-1].tolist()]
        needed = int(ends[-1]) * np.dtype(np.float16).itemsize
        _require_free(folder, needed, section)
        with naming_full_disk(folder, size=needed):
            self._file = _nameless_file(folder)
            os.posix_fallocate(self._file.fileno(), 0, needed)
        self._values = np.memmap(self._file, np.float16, "r+").view(np.ndarray)

    def __getitem__(self, index: int) -> NDArray[np.float16]:
        """Return a view of the map of an index: writing into it stores."""
        shape = self._shapes[index]
        start = self._starts[index]
        view: NDArray[np.float16] = self._values[start : start + int(np.prod(shape))].reshape(shape)
        return view

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


def _require_free(folder: Path, needed: int, section: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the backbone's features need {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB "
            f"free. Set {section}.train_on: {{kind: images}}, or a smaller {section}.input_scale."
        )
