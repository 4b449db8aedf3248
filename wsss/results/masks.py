"""Masks of one shard, confident regions included: HDF5 with one dataset of mask values per image.

They are compressed: gzip 1 makes them 14 times smaller at no cost in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from wsss.results.files import ArtifactError
from wsss.results.hdf5 import Hdf5Map, Recorded, writing
from wsss.study.options import Pooling

_FORMAT = "wsss masks 1"


def write_masks(path: str | Path, items: Iterable[tuple[str, NDArray[np.uint8]]]) -> None:
    """Write masks one image at a time.

    Args:
        path: the file.
        items: id and mask (H, W) uint8 of mask values.

    Raises:
        ArtifactError: other shapes or dtypes, or an id given twice; nothing is written.
    """
    _write_masks(path, items)


def write_confident(
    path: str | Path, items: Iterable[tuple[str, NDArray[np.uint8]]], *, pooling: Pooling
) -> None:
    """Write confident regions as `write_masks` does, and how their cells were labelled; see `pooling_of`."""
    _write_masks(path, items, pooling=pooling)


def _write_masks(path: str | Path, items: Iterable[tuple[str, NDArray[np.uint8]]], **attributes: str) -> None:
    with writing(path, _FORMAT, **attributes) as writer:
        for image_id, mask in items:
            writer.add(image_id, mask, np.uint8, 2, compress=True)


def write_pseudo_masks(
    path: str | Path,
    margins: str | Path,
    items: Iterable[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]],
) -> None:
    """Write masks as `write_masks` does, and their margins into a file of the same kind.

    Args:
        path, margins: the two files.
        items: id, mask (H, W) uint8 of mask values, and margin (H, W) uint8.

    Raises:
        ArtifactError: other shapes or dtypes, or an id given twice; nothing is written.
    """
    with writing(margins, _FORMAT) as beside, writing(path, _FORMAT) as writer:
        for image_id, mask, margin in items:
            writer.add(image_id, mask, np.uint8, 2, compress=True)
            beside.add(image_id, margin, np.uint8, 2, compress=True)


def read_masks(path: str | Path) -> Masks:
    """Open a file of `write_masks` or `write_confident` as a mapping id → mask (H, W) uint8.

    Raises:
        ArtifactError: any other file.
    """
    return Masks(path)


def pooling_of(confident: Recorded) -> Pooling:
    """Read how the cells of confident regions were labelled.

    Raises:
        ArtifactError: these are no confident regions, or their files differ.
    """
    recorded = confident.attributes.get("pooling")
    found: Pooling | None = next((choice for choice in get_args(Pooling) if choice == recorded), None)
    if found is None:
        raise ArtifactError(
            f"confident regions: pooling {recorded!r}, expected {' or '.join(get_args(Pooling))}"
        )
    return found


class Masks(Hdf5Map[NDArray[np.uint8]]):
    """Masks (H, W) uint8 by image id, read when asked for."""

    format = _FORMAT

    def _read(self, handle: h5py.File, member: str) -> NDArray[np.uint8]:
        return self.array(handle, member, np.uint8, 2)
