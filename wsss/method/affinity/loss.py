"""What AffinityNet is trained to lower (Ahn & Kwak 2018, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from wsss.method.affinity.pairs import Kinds

LOG_GUARD = 1e-5


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


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    return values.where(mask, 0.0).sum() / (mask.sum(dtype=values.dtype) + LOG_GUARD)
