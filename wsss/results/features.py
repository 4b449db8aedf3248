"""Features of a backbone in HDF5, one array per image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wsss.results.hdf5 import Hdf5Map, writing

_FORMAT = "wsss features 1"


def write_features(path: str | Path, items: Iterable[tuple[str, NDArray[np.float16]]]) -> None:
    """Write features, one image at a time: id and (h, w, C) float16.

    Raises:
        ArtifactError: another shape or dtype, or an id given twice; nothing is written.
    """
    with writing(path, _FORMAT) as writer:
        for image_id, features in items:
            writer.add(image_id, features, np.float16, 3)


def read_features(path: str | Path) -> Features:
    """Open a file of `write_features` as a mapping id → features (h, w, C) float16.

    Raises:
        ArtifactError: any other file.
    """
    return Features(path)


class Features(Hdf5Map[NDArray[np.float16]]):
    """Features (h, w, C) float16 by image id, read when asked for."""

    format = _FORMAT

    def _read(self, handle: h5py.File, member: str) -> NDArray[np.float16]:
        return self.array(handle, member, np.float16, 3)
