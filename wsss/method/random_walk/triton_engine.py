"""The walk on a CUDA device in float32: one fused Triton kernel per order of the Chebyshev recursion."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128
"""Cells per program: a photograph's few thousand cells then still occupy many multiprocessors."""


def walk(affinities: Tensor, offsets: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Sum the changes as `torch_engine.walk` does; every tensor float32 on one device."""
    batch, columns, height, width = scores.shape
    powers, orders = weights.shape
    affinities, offsets = affinities.contiguous(), offsets.to(scores.device, torch.int32)
    by_order = weights.T.contiguous()
    current = scores.clone(memory_format=torch.contiguous_format)
    following, change = torch.empty_like(current), torch.zeros_like(current)
    moved = current.new_zeros(powers, *current.shape)
    grid = (triton.cdiv(height * width, BLOCK), batch * columns)
    sizes = (columns, height, width, len(offsets))
    with torch.cuda.device_of(scores):  # type: ignore[no-untyped-call]
        for order in range(orders):
            gain = 2.0 if order else 1.0
            tensors = (affinities, offsets, current, following, change, moved, by_order)
            _advance[grid](*tensors, order, gain, *sizes, POWERS=powers, BLOCK=BLOCK)
            current, following = following, current
    return moved


@triton.jit(do_not_specialize=["order"])  # type: ignore[untyped-decorator]
def _advance(  # type: ignore[no-untyped-def]
    affinities,  # (B, P, H, W)
    offsets,  # (P, 2)
    current,  # (B, C, H, W)
    following,  # (B, C, H, W)
    change,  # (B, C, H, W)
    moved,  # (POWERS, B, C, H, W)
    weights,  # (K, POWERS)
    order,
    gain,
    columns,
    height,
    width,
    pairs,
    POWERS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Take one block of cells of one column to the next order: update its change, following and moved."""
    cells = height * width
    column = tl.program_id(1).to(tl.int64)
    image = column // columns
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = cell < cells
    y, x = cell // width, cell % width
    here = column * cells + cell
    own = tl.load(current + here, mask=live, other=0.0)
    attraction = tl.full([BLOCK], 0.0, tl.float32)
    degree = tl.full([BLOCK], 1.0, tl.float32)
    for p in range(pairs):
        dy, dx = tl.load(offsets + 2 * p), tl.load(offsets + 2 * p + 1)
        shift = dy * width + dx
        pair = affinities + (image * pairs + p) * cells + cell
        has_lower = live & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        has_upper = live & (y >= dy) & (x - dx >= 0) & (x - dx < width)
        to_lower = tl.load(pair, mask=has_lower, other=0.0)
        to_upper = tl.load(pair - shift, mask=has_upper, other=0.0)
        lower = tl.load(current + here + shift, mask=has_lower, other=0.0)
        upper = tl.load(current + here - shift, mask=has_upper, other=0.0)
        attraction += to_lower * (lower - own) + to_upper * (upper - own)
        degree += to_lower + to_upper
    step = tl.load(change + here, mask=live, other=0.0) + gain * attraction / degree
    tl.store(change + here, step, mask=live)
    tl.store(following + here, own + step, mask=live)
    numbers = tl.num_programs(1).to(tl.int64) * cells
    for n in tl.static_range(POWERS):
        total = moved + n * numbers + here
        weight = tl.load(weights + order * POWERS + n)
        tl.store(total, tl.load(total, mask=live, other=0.0) + weight * step, mask=live)
