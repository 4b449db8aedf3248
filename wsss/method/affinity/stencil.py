"""Affinities of neighbouring cells from their features (Ahn & Kwak 2018, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from wsss.method.affinity.distance import pair_distance
from wsss.method.affinity.pairs import half_plane_offsets, valid_pairs
from wsss.method.neighbours import Border


def affinity_stencil(features: Tensor, radius: int = 5, border: Border = "full") -> Tensor:
    """Compare the features of neighbouring cells: `W_ij = exp(-mean_d |f_i - f_j|)`.

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

    Examples:
        A border between the second and the third column:

        >>> import torch, wsss
        >>> features = torch.zeros(1, 1, 1, 4)
        >>> features[..., 2:] = 5.0
        >>> stencil = wsss.affinity_stencil(features, radius=2)
        >>> wsss.half_plane_offsets(2).tolist()
        [[0, 1], [1, -1], [1, 0], [1, 1]]
        >>> stencil[0, 0, 0].double().round(decimals=2).tolist()  # of each cell and the one to its right
        [1.0, 0.01, 1.0, 0.0]
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
    distance = pair_distance(cells, shifts)
    stencil: Tensor = (-distance).exp().view(-1, batch, height, width).transpose(0, 1)
    return stencil.where(valid.to(stencil.device), 0.0)
