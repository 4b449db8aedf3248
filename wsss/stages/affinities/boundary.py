"""Boundary maps of other systems as affinities: IRN's way to keep the random walk inside objects.

The affinity of two cells is 1 - the largest boundary value on the path between them (Ahn, Cho & Kwak 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, Manifest
from wsss.data.loading import prefetch
from wsss.method.affinity import boundary_stencil
from wsss.method.neighbours import STRIDE
from wsss.method.resizing import scaled_size
from wsss.results import AffinityGrid
from wsss.runtime.devices import worker_count
from wsss.stages.affinities import AffinitiesJob, ComputedAffinities
from wsss.stages.foreign.files import find_files, naming, read_grey_png, read_npy
from wsss.study.config import BoundaryAffinities

FACTS = {"network": None}


def compute(affinities: BoundaryAffinities, images: Manifest, job: AffinitiesJob) -> ComputedAffinities:
    """Compute affinities from the boundary maps of a folder, which become inputs of the job."""
    files = boundary_files(images.rows, affinities.folder)
    job.reads(files.values())
    grid = AffinityGrid(affinities.radius, affinities.input_scale, "full")
    return ComputedAffinities(grid, stencils(images.rows, files, grid, workers=worker_count(job.threads)))


def boundary_files(rows: Iterable[ImageRow], folder: Path | str) -> dict[str, Path]:
    """Find the boundary map of each image, `<folder>/<id>.npy` or `.png`. Raises as `find_files` does."""
    return find_files(rows, folder, (".npy", ".png"), "boundary maps")


def stencils(
    rows: Sequence[ImageRow], files: Mapping[str, Path], grid: AffinityGrid, *, workers: int = 0
) -> Iterator[tuple[str, NDArray[np.float16], NDArray[np.float16]]]:
    """Read the boundary map of each image and turn it into affinities, before the power beta.

    Args:
        rows: the images.
        files: by image id, see `boundary_files` and `read_boundary`.
        grid: radius and scale of the affinities.
        workers: threads that read ahead.

    Yields:
        id, stencil (P, h, w) float16 in [0, 1], and the boundary (h, w) float16 of the cells.

    Raises:
        ValueError: naming the file that is no map of its image.
    """

    def read(row: ImageRow) -> tuple[str, NDArray[np.float16], NDArray[np.float16]]:
        boundary = torch.from_numpy(read_boundary(files[row.id], (row.height, row.width)))
        cells = cell_maxima(boundary, scaled_size(boundary.shape, grid.input_scale))
        return row.id, boundary_stencil(cells, grid.radius).half().numpy(), cells.half().numpy()

    yield from prefetch(read, rows, workers)


def read_boundary(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """Read a boundary map (H, W) in [0, 1] at the image's size.

    Args:
        path: `.npy` with floats in [0, 1], or a grey `.png` with 1, 8 or 16 bits, whose white is 1.
        size: (H, W) of the image.

    Raises:
        ValueError: naming the file, what was found, and what is expected.
    """
    with naming(path):
        values = (read_grey_png if path.suffix == ".png" else read_npy)(path, size[0] * size[1])
        if values.dtype.kind != "f" or values.shape != size:
            raise ValueError(f"{values.shape} {values.dtype}, expected a float map of the image's {size}")
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(f"values from {values.min()} to {values.max()}, expected [0, 1]")
    return values.astype(np.float32)


def cell_maxima(boundary: Tensor, scaled: tuple[int, int]) -> Tensor:
    """Give each cell of the grid the largest value of the pixels that it covers, if only in part.

    An average would thin a line of one pixel out, and the walk would leak through it.

    Args:
        boundary: (H, W).
        scaled: (sH, sW), the size of the scaled image on which cells are 8 x 8 pixels.

    Returns:
        (ceil(sH / 8), ceil(sW / 8)).
    """
    for axis, side in enumerate(scaled):
        pixels = boundary.shape[axis]
        spans = [
            (start * pixels // side, -(-min(start + STRIDE, side) * pixels // side))
            for start in range(0, side, STRIDE)
        ]
        parts = [boundary.narrow(axis, first, stop - first).amax(axis) for first, stop in spans]
        boundary = torch.stack(parts, axis)
    return boundary
