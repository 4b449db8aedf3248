"""Affinities from a map of boundaries: the second kind, of IRN (Ahn, Cho & Kwak 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.method.affinity.pairs import half_plane_offsets, valid_pairs


def boundary_stencil(boundary: Tensor, radius: int = 5) -> Tensor:
    """Turn boundary maps into affinities: 1 - the largest boundary value on the path between two cells.

    The second kind of affinity, of IRN (Ahn, Cho & Kwak 2019, section 4.3). The path of a pair is
    made of the cells of its bounding box that lie closer than one cell to the line through both. Gradients
    flow to the largest value, in equal parts where several are.

    Args:
        boundary: (..., H, W) in [0, 1].
        radius: in cells.

    Returns:
        (..., P, H, W) in [0, 1], dtype of `boundary`, zero where there is no pair.

    """
    height, width = boundary.shape[-2:]
    reach = radius - 1
    padded = F.pad(boundary, (reach, reach, 0, reach))
    barriers = [
        torch.stack(
            [padded[..., y : y + height, reach + x : reach + x + width] for y, x in _path(dy, dx)]
        ).amax(0)
        for dy, dx in half_plane_offsets(radius).tolist()
    ]
    valid = valid_pairs(height, width, radius).to(boundary.device)
    return (1 - torch.stack(barriers, dim=-3)).where(valid, 0.0)


def _path(dy: int, dx: int) -> list[tuple[int, int]]:
    """List the cells (y, x) from (0, 0) to (dy, dx), both included, less than one cell off the line."""
    step = 1 if dx >= 0 else -1
    return [
        (y, x)
        for y in range(dy + 1)
        for x in range(0, dx + step, step)
        if (x * dy - y * dx) ** 2 < dy**2 + dx**2
    ]
