"""Distances of pairs in plain PyTorch, in blocks that fit a cache: for CPUs, or without Triton."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CPU_BLOCK = 2**17
"""Feature differences per block on the CPU: half a megabyte of float32 stays in a core's own cache."""
GPU_BLOCK = 2**26
"""The same on a GPU, where a launch costs more than a trip to memory."""


def distance(cells: Tensor, shifts: Tensor) -> Tensor:
    """Mean absolute difference (P, N) between each row of cells (N, D) and the rows that P shifts meet."""
    result = cells.new_zeros(len(shifts), len(cells))
    for index, upper, _, difference in _differences(cells, shifts):
        torch.sum(difference.abs_(), -1, out=result[index, upper])
    return result.div_(cells.shape[1])


def gradient(cells: Tensor, shifts: Tensor, grad_distance: Tensor) -> Tensor:
    """Gradient (N, D) of a loss with respect to the cells, from that with respect to the distances (P, N)."""
    slope = (grad_distance / cells.shape[1]).unsqueeze(-1)
    result = torch.zeros_like(cells)
    for index, upper, lower, difference in _differences(cells, shifts):
        pull = difference.sign_().mul_(slope[index, upper])
        result[upper].add_(pull)
        result[lower].sub_(pull)
    return result


def _differences(cells: Tensor, shifts: Tensor) -> Iterator[tuple[int, slice, slice, Tensor]]:
    """Yield index of the shift, upper rows, lower rows and their difference, in blocks of one buffer."""
    count, depth = cells.shape
    size = max(1, (GPU_BLOCK if cells.is_cuda else CPU_BLOCK) // depth)
    buffer = cells.new_empty(min(size, count), depth)
    for start in range(0, count, size):
        for index, shift in enumerate(shifts.tolist()):
            stop = min(start + size, count - shift)
            if start < stop:
                upper, lower = slice(start, stop), slice(start + shift, stop + shift)
                yield index, upper, lower, torch.sub(cells[upper], cells[lower], out=buffer[: stop - start])
