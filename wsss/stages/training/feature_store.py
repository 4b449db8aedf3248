"""The levels of a frozen backbone for many images, kept in a temporary memory-mapped file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray


class LevelStore:
    """Feature maps (h, w, C) float16 of many images, of a size of their own each, by index.

    The file has no name, so it is gone when the process is, however that ends.
    """

    def __init__(self, folder: Path, grids: Sequence[tuple[int, int]], channels: int) -> None:
        """Reserve room in ``folder`` for maps of ``channels`` channels on ``grids`` (h, w).

        Raises:
            OSError: the disk has less free; nothing is computed or written then.
        """
        self._shapes = [(*grid, channels) for grid in grids]
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        self._starts = [0, *ends[:-1].tolist()]
        needed = int(ends[-1]) * np.dtype(np.float16).itemsize
        _require_free(folder, needed)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed on exit
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


def _require_free(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the backbone's features need {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB "
            "free. Set affinitynet.freeze_backbone: false, or a smaller affinitynet.input_scale."
        )
