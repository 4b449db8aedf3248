"""Affinities that are true, and how much of the learned ones leaks across true borders."""

from __future__ import annotations

import torch
from torch import Tensor

from wsss.method.affinity.pairs import lower_cells, pair_targets, valid_pairs
from wsss.method.labels import IGNORE
from wsss.method.neighbours import Border


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
    alike = labels == lower_cells(labels[None], radius, IGNORE)[0]
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
