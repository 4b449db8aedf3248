"""Semantic affinities between neighbouring cells (Ahn & Kwak 2018, section 3.2).

Affinities are symmetric, so a grid keeps one half: a *stencil* (P, H, W) whose entry [p, y, x] belongs to the
pair of its upper cell (y, x) and its lower cell (y, x) + offset p, with the P offsets of
`half_plane_offsets`. Where the lower cell falls outside the grid there is no pair, and the stencil is zero.
All lengths are in cells of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from wsss.labels import BACKGROUND, IGNORE

Border = Literal["full", "cropped"]
"""Which pairs count: every pair inside the grid, or those of the published code (see `valid_pairs`)."""

Kinds = tuple[Tensor, Tensor, Tensor]
"""One tensor per kind of pair: two background cells, two cells of one class, two cells that differ."""

STRIDE = 8
"""Pixels of AffinityNet's input per cell and side."""

LOG_GUARD = 1e-5
CPU_BLOCK = 2**17
"""Feature differences per block on the CPU: half a megabyte of float32 stays in a core's own cache."""
GPU_BLOCK = 2**26
"""The same on a GPU, where a launch costs more than a trip to memory."""


def half_plane_offsets(radius: int) -> Tensor:
    """Return the (dy, dx) from an upper to a lower cell less than `radius` apart: (P, 2) int64, row by row.

    Every unordered pair of cells appears once: dy > 0, or dy = 0 and dx > 0. P = 34 for a radius of 5.

    Raises:
        ValueError: radius is below 2, which leaves no pair.

    """
    if radius < 2:
        raise ValueError(f"half_plane_offsets: a radius of at least 2 cells has neighbours, got {radius}")
    reach = range(1 - radius, radius)
    return torch.tensor(
        [(dy, dx) for dy in range(radius) for dx in reach if (dy > 0 or dx > 0) and dy**2 + dx**2 < radius**2]
    )


def valid_pairs(height: int, width: int, radius: int = 5, border: Border = "full") -> Tensor:
    """Tell where a stencil has a pair: (P, H, W) bool.

    With border "cropped", as in the published code, a pair's upper cell may lie neither in the last
    radius - 1 rows nor in the outer radius - 1 columns; "full" takes every pair inside the grid.

    Raises:
        ValueError: an unknown `border`.

    """
    if border not in ("full", "cropped"):
        raise ValueError(f"border: expected 'full' or 'cropped', got {border!r}")
    dy, dx = half_plane_offsets(radius).unsqueeze(-1).unbind(1)
    y, x = torch.arange(height), torch.arange(width)
    rows = y + dy < height
    columns = (x + dx >= 0) & (x + dx < width)
    if border == "cropped":
        margin = radius - 1
        rows = rows & (y < height - margin)
        columns = columns & (x >= margin) & (x < width - margin)
    return rows[:, :, None] & columns[:, None, :]


def affinity_stencil(features: Tensor, radius: int = 5, border: Border = "full") -> Tensor:
    """Compare the features of neighbouring cells: W_ij = exp(-mean_d |f_i - f_j|).

    The mean over channels is the published code's, where the paper writes the L1 norm. Neither the forward
    nor the backward pass holds the features of all pairs. Half precision is computed in float32, in which a
    mean of many small differences keeps its digits. Features in channels_last layout are read without a copy.

    Args:
        features: (B, D, H, W).
        radius: in cells.
        border: which pairs count, see `valid_pairs`.

    Returns:
        (B, P, H, W) in [0, 1], float32 (float64 if the features are), zero where there is no pair.

    Raises:
        ValueError: the features are not four-dimensional, or radius or border is impossible.

    """
    if features.ndim != 4:
        raise ValueError(f"affinity_stencil: expected features (B, D, H, W), got {tuple(features.shape)}")
    batch, depth, height, width = features.shape
    valid = valid_pairs(height, width, radius, border)
    cells = features.permute(0, 2, 3, 1).reshape(-1, depth)
    cells = cells if cells.dtype == torch.float64 else cells.float()
    # In row-major order a neighbour is a fixed shift away. Shifts past a row's or an image's end meet foreign
    # cells, which `valid` drops again: much cheaper than cutting every offset out of every image.
    shifts = half_plane_offsets(radius) @ torch.tensor([width, 1])
    shifts = shifts.where(valid.flatten(1).any(1), len(cells))
    distance = _PairDistance.apply(cells, shifts.tolist())
    stencil: Tensor = (-distance).exp().view(-1, batch, height, width).transpose(0, 1)
    return stencil.where(valid.to(stencil.device), 0.0)


class _PairDistance(torch.autograd.Function):
    """Mean absolute difference (P, N) between each row of cells (N, D) and the rows that P shifts meet."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, shifts: list[int]) -> Tensor:
        ctx.save_for_backward(cells)
        ctx.shifts = shifts
        distance = cells.new_zeros(len(shifts), len(cells))
        for index, upper, _, difference in _differences(cells, shifts):
            torch.sum(difference.abs_(), -1, out=distance[index, upper])
        return distance.div_(cells.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_distance: Tensor) -> tuple[Tensor, None]:
        (cells,) = ctx.saved_tensors
        slope = (grad_distance / cells.shape[1]).unsqueeze(-1)
        grad = torch.zeros_like(cells)
        for index, upper, lower, difference in _differences(cells, ctx.shifts):
            pull = difference.sign_().mul_(slope[index, upper])
            grad[upper].add_(pull)
            grad[lower].sub_(pull)
        return grad, None


def _differences(cells: Tensor, shifts: Sequence[int]) -> Iterator[tuple[int, slice, slice, Tensor]]:
    """Yield index of the shift, upper rows, lower rows and their difference, in blocks of one buffer."""
    count, depth = cells.shape
    size = max(1, (GPU_BLOCK if cells.is_cuda else CPU_BLOCK) // depth)
    buffer = cells.new_empty(min(size, count), depth)
    for start in range(0, count, size):
        for index, shift in enumerate(shifts):
            stop = min(start + size, count - shift)
            if start < stop:
                upper, lower = slice(start, stop), slice(start + shift, stop + shift)
                yield index, upper, lower, torch.sub(cells[upper], cells[lower], out=buffer[: stop - start])


def pair_targets(labels: Tensor, radius: int = 5, border: Border = "full") -> Kinds:
    """Tell from confident labels which pairs must be alike and which must differ.

    Args:
        labels: (B, H, W) uint8 on the grid: 0 background, 1.. classes, 255 undecided, whose pairs never
            count.
        radius: in cells.
        border: which pairs count, see `valid_pairs`.

    Returns:
        background, foreground, different: bool (B, P, H, W); each pair is in one of them at most.

    """
    upper, lower = labels.unsqueeze(1), _lower_cells(labels, radius, IGNORE)
    valid = valid_pairs(labels.shape[-2], labels.shape[-1], radius, border).to(labels.device)
    decided = valid & (upper != IGNORE) & (lower != IGNORE)
    alike = decided & (upper == lower)
    return alike & (upper == BACKGROUND), alike & (upper != BACKGROUND), decided & (upper != lower)


def affinity_loss(stencil: Tensor, targets: Kinds) -> tuple[Tensor, Kinds]:
    """Cross entropy of the affinities, averaged per kind of pair.

    A mean is taken over all pairs of its kind in the batch; a kind without pairs contributes zero.

    Args:
        stencil: (B, P, H, W) in [0, 1].
        targets: background, foreground, different: bool (B, P, H, W).

    Returns:
        loss = background / 4 + foreground / 4 + different / 2, and the three terms, all scalars.

    """
    affinity = stencil if stencil.dtype == torch.float64 else stencil.float()
    alike, apart = -(affinity + LOG_GUARD).log(), -(1 + LOG_GUARD - affinity).log()
    background = _mean_where(targets[0], alike)
    foreground = _mean_where(targets[1], alike)
    different = _mean_where(targets[2], apart)
    return background / 4 + foreground / 4 + different / 2, (background, foreground, different)


def boundary_stencil(boundary: Tensor, radius: int = 5) -> Tensor:
    """Turn a boundary map into affinities: 1 - the largest boundary value on the path between two cells.

    The second kind of affinity, of IRN (Ahn, Cho & Kwak 2019). The path of a pair is made of the cells of its
    bounding box that lie closer than one cell to the line through both.

    Args:
        boundary: (H, W) in [0, 1].
        radius: in cells.

    Returns:
        (P, H, W) in [0, 1], dtype of `boundary`, zero where there is no pair.

    """
    height, width = boundary.shape
    reach = radius - 1
    padded = F.pad(boundary, (reach, reach, 0, reach))
    barriers = [
        torch.stack([padded[y : y + height, reach + x : reach + x + width] for y, x in _path(dy, dx)]).amax(0)
        for dy, dx in half_plane_offsets(radius).tolist()
    ]
    valid = valid_pairs(height, width, radius).to(boundary.device)
    return (1 - torch.stack(barriers)).where(valid, 0.0)


def oracle_stencil(labels: Tensor, radius: int = 5, leak: float = 0.0) -> Tensor:
    """Take affinities from a true mask, to find the ceiling of the random walk over perfect affinities.

    Args:
        labels: (H, W) uint8 on the grid; 255 counts as a segment of its own.
        radius: in cells.
        leak: affinity between different segments, in [0, 1].

    Returns:
        (P, H, W) float32: 1 inside a segment, `leak` between segments, zero where there is no pair.

    """
    height, width = labels.shape
    alike = labels == _lower_cells(labels[None], radius, IGNORE)[0]
    valid = valid_pairs(height, width, radius).to(labels.device)
    return torch.where(alike, 1.0, leak).where(valid, 0.0)


def affinity_leak(
    stencil: Tensor, labels: Tensor, beta: float, radius: int = 5, border: Border = "full"
) -> tuple[float, float]:
    """Average the affinities after the power beta over truly equal and over truly different neighbours.

    The random walk moves scores along W^beta, so what the second mean keeps of the first leaks across
    borders.

    Args:
        stencil: (P, H, W) in [0, 1], before the power, of any float type.
        labels: (H, W) uint8, the true mask on the grid; pairs with an end in 255 do not count.
        beta: exponent of the affinities in the random walk.
        radius: of the stencil, in cells.
        border: of the stencil.

    Returns:
        The two means; nan where the mask has no such pair.

    """
    background, foreground, different = (kind[0] for kind in pair_targets(labels[None], radius, border))
    weight = stencil.double() ** beta
    return weight[background | foreground].mean().item(), weight[different].mean().item()


def _lower_cells(labels: Tensor, radius: int, outside: int) -> Tensor:
    """Return the label of each pair's lower cell: (B, P, H, W), `outside` beyond the grid."""
    height, width = labels.shape[-2:]
    reach = radius - 1
    padded = F.pad(labels, (reach, reach, 0, reach), value=outside)
    shifted = [
        padded[:, dy : dy + height, reach + dx : reach + dx + width]
        for dy, dx in half_plane_offsets(radius).tolist()
    ]
    return torch.stack(shifted, 1)


def _path(dy: int, dx: int) -> list[tuple[int, int]]:
    """List the cells (y, x) from (0, 0) to (dy, dx), both included, less than one cell off the line."""
    step = 1 if dx >= 0 else -1
    return [
        (y, x)
        for y in range(dy + 1)
        for x in range(0, dx + step, step)
        if (x * dy - y * dx) ** 2 < dy**2 + dx**2
    ]


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    return values.where(mask, 0.0).sum() / (mask.sum(dtype=values.dtype) + LOG_GUARD)
