"""Affinities of one shard, before the power beta: HDF5 with one stencil per image.

They are not compressed: float16 noise does not shrink, and lzf is 9 times slower to write.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from wsss.method.neighbours import Border, upper_to_lower
from wsss.results.files import ArtifactError, in_unit_interval
from wsss.results.hdf5 import BESIDE, Hdf5Map, Recorded, writing

_FORMAT = "wsss affinities 2"
_BOUNDARY = f"{BESIDE}boundary"


class AffinityGrid(NamedTuple):
    """On which grid, and for which of its pairs of cells, affinities were computed.

    Attributes:
        radius: reach of a pair, in cells.
        input_scale: factor on the image; a cell covers 8 / input_scale of its pixels.
        border: which pairs have an affinity, see `wsss.method.affinity.valid_pairs`.
    """

    radius: int
    input_scale: float
    border: Border

    @classmethod
    def of(cls, affinities: Recorded) -> Self:
        """Read what a file of `write_affinities`, or several opened as one, records.

        Raises:
            ArtifactError: the files differ, or there is none.
        """
        recorded = affinities.attributes
        try:
            return cls(int(recorded["radius"]), float(recorded["input_scale"]), recorded["border"])
        except KeyError as error:
            raise ArtifactError(f"affinities: {error} is not recorded, only {dict(recorded)}") from None


def write_affinities(
    path: str | Path,
    items: Iterable[tuple[str, NDArray[np.float16]] | tuple[str, NDArray[np.float16], NDArray[np.float16]]],
    grid: AffinityGrid,
) -> None:
    """Write affinities, before the power beta, one image at a time.

    Args:
        path: the file.
        items: id and stencil (P, h, w) float16 in [0, 1]; a third part is the boundary (h, w) float16 in
            [0, 1] that the affinities come from.
        grid: how they were computed.

    Raises:
        ArtifactError: other shapes, dtypes or values, or an id given twice; nothing is written.
    """
    pairs = len(upper_to_lower(grid.radius))
    with writing(path, _FORMAT, **grid._asdict()) as writer:
        for image_id, stencil, *boundaries in items:
            writer.add(image_id, stencil, np.float16, 3)
            for boundary in boundaries:
                writer.add(image_id, boundary, np.float16, 2, part=_BOUNDARY)
            if len(stencil) != pairs:
                raise ArtifactError(
                    f"{path}: image {image_id!r}: {len(stencil)} pairs per cell, expected {pairs} at a "
                    f"radius of {grid.radius} cells"
                )
            if not all(map(in_unit_interval, (stencil, *boundaries))):
                raise ArtifactError(f"{path}: image {image_id!r}: affinities are not all in [0, 1]")


def read_affinities(path: str | Path) -> Affinities:
    """Open a file of `write_affinities` as a mapping id → stencil (P, h, w) float16.

    Raises:
        ArtifactError: any other file.
    """
    return Affinities(path)


class Affinities(Hdf5Map[NDArray[np.float16]]):
    """Stencils (P, h, w) float16 in [0, 1] by image id, read when asked for; see `AffinityGrid.of`."""

    format = _FORMAT

    def _read(self, handle: h5py.File, member: str) -> NDArray[np.float16]:
        return self.array(handle, member, np.float16, 3)

    def boundary(self, image_id: str) -> NDArray[np.float16] | None:
        """Read the boundary (h, w) in [0, 1] that an image's affinities come from; a network's have none."""
        handle, name = self._handle(), self._members[image_id] + _BOUNDARY
        return self.array(handle, name, np.float16, 2) if name in handle else None
