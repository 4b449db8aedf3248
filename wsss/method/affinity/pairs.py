"""Which cells of the stride-8 grid are pairs, and what confident labels say of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.method.labels import BACKGROUND, IGNORE
from wsss.method.neighbours import Border, upper_to_lower

Kinds = tuple[Tensor, Tensor, Tensor]
"""One tensor per kind of pair: two background cells, two cells of one class, two cells that differ."""


def half_plane_offsets(radius: int) -> Tensor:
    """Return the (dy, dx) from an upper to a lower cell less than `radius` apart: (P, 2) int64, row by row.

    Every unordered pair of cells appears once: dy > 0, or dy = 0 and dx > 0. P = 34 for a radius of 5.

    Raises:
        ValueError: radius is below 2, which leaves no pair.

    """
    return torch.tensor(upper_to_lower(radius))


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
    upper, lower = labels.unsqueeze(1), lower_cells(labels, radius, IGNORE)
    valid = valid_pairs(labels.shape[-2], labels.shape[-1], radius, border).to(labels.device)
    decided = valid & (upper != IGNORE) & (lower != IGNORE)
    alike = decided & (upper == lower)
    return alike & (upper == BACKGROUND), alike & (upper != BACKGROUND), decided & (upper != lower)


def lower_cells(values: Tensor, radius: int, outside: int) -> Tensor:
    """Return the value (B, H, W) of each pair's lower cell: (B, P, H, W), `outside` beyond the grid."""
    height, width = values.shape[-2:]
    reach = radius - 1
    padded = F.pad(values, (reach, reach, 0, reach), value=outside)
    shifted = [
        padded[:, dy : dy + height, reach + dx : reach + dx + width]
        for dy, dx in half_plane_offsets(radius).tolist()
    ]
    return torch.stack(shifted, 1)
