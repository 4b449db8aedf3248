"""The walk on a CPU: one score map at a time over the diagonals of T, compiled by Numba, spread over threads.

The grid lies flat, its rows apart by as many empty cells as the radius reaches, so that each diagonal is
one shift of the whole grid and the inner loop runs over long contiguous arrays. docs/random_walk.md
compares it with sparse matrices.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating]
Column = tuple[int, int]
"""Index of an image and of one of its score maps."""

BLOCK = 2048
"""Cells per inner loop: their sums stay in a core's first cache."""


def walk(affinities: Tensor, offsets: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Sum the changes as `torch_engine.walk` does, on as many threads as PyTorch may use."""
    batch, columns, height, width = scores.shape
    pitch = width + int(offsets[:, 1].max())
    shifts = (offsets @ torch.tensor([pitch, 1])).numpy()
    reach = int(shifts.max())
    diagonals = _flatten(affinities.numpy(), pitch, before=reach, after=0)
    values = _flatten(scores.numpy(), pitch, before=reach, after=reach)
    degrees = [_degrees(image, shifts) for image in diagonals]
    moved = np.zeros((batch, columns, len(weights), height * pitch), values.dtype)

    def walk_column(column: Column) -> None:
        image = column[0]
        _sum_changes(diagonals[image], shifts, degrees[image], values[column], weights.numpy(), moved[column])

    _in_threads(walk_column, list(product(range(batch), range(columns))))
    grids = torch.from_numpy(moved).view(batch, columns, len(weights), height, pitch)
    return grids[..., :width].movedim(2, 0)


def _flatten(grids: Floats, pitch: int, before: int, after: int) -> Floats:
    """Lay grids (..., H, W) flat, rows `pitch` cells apart, zeros in between, before and after."""
    *leading, height, width = grids.shape
    flat = np.zeros((*leading, before + height * pitch + after), grids.dtype)
    flat[..., before : before + height * pitch].reshape(*leading, height, pitch)[..., :width] = grids
    return flat


def _degrees(diagonals: Floats, shifts: NDArray[np.int64]) -> Floats:
    """Diagonal of D: a cell's affinity to itself, 1, and to its neighbours, (cells,)."""
    reach = shifts.max()
    degrees = np.ones(diagonals.shape[1] - reach, diagonals.dtype)
    for diagonal, shift in zip(diagonals, shifts, strict=True):
        degrees += diagonal[reach:] + diagonal[reach - shift : -shift]
    return degrees


def _in_threads(work: Callable[[Column], None], columns: Sequence[Column]) -> None:
    """Do the work for each column; this thread takes its share."""
    waiting = deque(columns)

    def take_turns() -> None:
        while True:
            try:
                column = waiting.popleft()
            except IndexError:
                return
            work(column)

    others = min(torch.get_num_threads(), len(columns)) - 1
    if others < 1:
        take_turns()
        return
    pool = _pool(os.getpid(), others)
    running = [pool.submit(take_turns) for _ in range(others)]
    take_turns()
    for other in running:
        other.result()


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Keep the threads of this process: to start one takes as long as some twenty products with T."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"walk-{process}")


@njit(cache=True, nogil=True, fastmath={"contract"})
def _sum_changes(diagonals, shifts, degrees, values, weights, moved):  # type: ignore[no-untyped-def]
    """Add the changes of one padded column of values, by weights (N, K), to moved (N, cells)."""
    reach = shifts.max()
    padded = values.copy()
    current = padded[reach : reach + degrees.size]
    change, attraction = np.zeros_like(degrees), np.empty_like(degrees)
    pull = 1 / degrees
    for order in range(weights.shape[1]):
        _attract(diagonals, shifts, padded, attraction)
        for i in range(current.size):
            change[i] += pull[i] * attraction[i]
            current[i] += change[i]
        for n in range(len(moved)):
            weight, sums = weights[n, order], moved[n]
            if weight > 0:  # series of smaller t end earlier
                for i in range(sums.size):
                    sums[i] += weight * change[i]
        if order == 0:
            pull += pull


@njit(cache=True, nogil=True, fastmath={"contract"})
def _attract(diagonals, shifts, padded, attraction):  # type: ignore[no-untyped-def]
    """Write the sum over each cell's neighbours of affinity times difference to attraction (cells,).

    Two diagonals at a time, which saves a tenth. There is an even number of them: quarter turns map the
    offsets of a disk on each other, four by four.
    """
    reach = shifts.max()
    for start in range(0, attraction.size, BLOCK):
        total = attraction[start : start + BLOCK]
        first, last = reach + start, reach + start + total.size
        own = padded[first:last]
        total[:] = 0
        for p in range(0, shifts.size, 2):
            a, b = shifts[p], shifts[p + 1]
            lower_a, upper_a = padded[first + a : last + a], padded[first - a : last - a]
            lower_b, upper_b = padded[first + b : last + b], padded[first - b : last - b]
            to_lower_a, to_upper_a = diagonals[p, first:last], diagonals[p, first - a : last - a]
            to_lower_b, to_upper_b = diagonals[p + 1, first:last], diagonals[p + 1, first - b : last - b]
            for i in range(total.size):
                flow_a = to_lower_a[i] * (lower_a[i] - own[i]) + to_upper_a[i] * (upper_a[i] - own[i])
                flow_b = to_lower_b[i] * (lower_b[i] - own[i]) + to_upper_b[i] * (upper_b[i] - own[i])
                total[i] += flow_a + flow_b
