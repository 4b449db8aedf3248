"""Distances of pairs on a CUDA device: one fused Triton kernel forward and one backward."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

CELLS = 32
"""Cells per program; the cells that most shifts meet are still in the multiprocessor's cache."""

CHANNELS = 64
"""Channels that a program reads at once: 256 bytes of float32 per cell."""


def distance(cells: Tensor, shifts: Tensor) -> Tensor:
    """Compute what `wsss.method.affinity.torch_engine.distance` does."""
    count, depth = cells.shape
    result = cells.new_zeros(len(shifts), count)
    grid = (triton.cdiv(count, CELLS), len(shifts))
    with torch.cuda.device_of(cells):  # type: ignore[no-untyped-call]
        _distance[grid](cells, shifts.to(cells.device), result, count, depth, CELLS=CELLS, CHANNELS=CHANNELS)
    return result


def gradient(cells: Tensor, shifts: Tensor, grad_distance: Tensor) -> Tensor:
    """Compute what `wsss.method.affinity.torch_engine.gradient` does.

    Each program gathers all that pulls on its cells, so that no two add to one place: no atomics, and the
    same bits in every run.
    """
    count, depth = cells.shape
    result = torch.empty_like(cells)
    grid = (triton.cdiv(count, CELLS), triton.cdiv(depth, CHANNELS))
    tensors = (cells, shifts.to(cells.device), grad_distance.contiguous(), result)
    with torch.cuda.device_of(cells):  # type: ignore[no-untyped-call]
        _gradient[grid](*tensors, count, depth, len(shifts), CELLS=CELLS, CHANNELS=CHANNELS)
    return result


@triton.jit  # type: ignore[untyped-decorator]
def _distance(  # type: ignore[no-untyped-def]
    cells,  # (N, D)
    shifts,  # (P,) int64
    result,  # (P, N)
    count,
    depth,
    CELLS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Write the distances of one block of cells at one shift."""
    pair = tl.program_id(1).to(tl.int64)
    shift = tl.load(shifts + pair)
    upper = tl.program_id(0).to(tl.int64) * CELLS + tl.arange(0, CELLS)
    live = upper + shift < count
    total = tl.zeros([CELLS], cells.dtype.element_ty)
    for start in range(0, depth, CHANNELS):
        channel = start + tl.arange(0, CHANNELS)
        here = cells + upper[:, None] * depth + channel[None, :]
        inside = live[:, None] & (channel < depth)[None, :]
        own = tl.load(here, mask=inside, other=0.0)
        lower = tl.load(here + shift * depth, mask=inside, other=0.0)
        total += tl.sum(tl.abs(own - lower), 1)
    tl.store(result + pair * count + upper, total / depth, mask=live)


@triton.jit  # type: ignore[untyped-decorator]
def _gradient(  # type: ignore[no-untyped-def]
    cells,  # (N, D)
    shifts,  # (P,) int64
    slopes,  # (P, N)
    result,  # (N, D)
    count,
    depth,
    pairs,
    CELLS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Write the gradient of one block of cells and channels."""
    cell = tl.program_id(0).to(tl.int64) * CELLS + tl.arange(0, CELLS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    at = cell[:, None] * depth + channel[None, :]
    inside = (cell < count)[:, None] & (channel < depth)[None, :]
    own = tl.load(cells + at, mask=inside, other=0.0)
    pull = tl.zeros([CELLS, CHANNELS], cells.dtype.element_ty)
    for pair in range(pairs):
        shift = tl.load(shifts + pair)
        slope = slopes + pair * tl.cast(count, tl.int64) + cell
        has_lower, has_upper = cell + shift < count, (cell >= shift) & (cell < count)
        to_lower = tl.load(slope, mask=has_lower, other=0.0)[:, None]
        to_upper = tl.load(slope - shift, mask=has_upper, other=0.0)[:, None]
        lower = tl.load(cells + at + shift * depth, mask=inside & has_lower[:, None], other=0.0)
        upper = tl.load(cells + at - shift * depth, mask=inside & has_upper[:, None], other=0.0)
        pull += tl.where(own > lower, to_lower, 0.0) - tl.where(own < lower, to_lower, 0.0)
        pull += tl.where(own > upper, to_upper, 0.0) - tl.where(own < upper, to_upper, 0.0)
    tl.store(result + at, pull / depth, mask=inside)
