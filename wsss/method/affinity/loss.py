"""What AffinityNet is trained to lower (Ahn & Kwak 2018, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from wsss.method.affinity.pairs import Kinds

LOG_GUARD = 1e-5


def affinity_loss(stencil: Tensor, targets: Kinds, counts: Tensor | None = None) -> tuple[Tensor, Kinds]:
    """Cross entropy of the affinities, averaged per kind of pair.

    A mean is taken over all pairs of its kind in the batch; a kind without pairs contributes zero.

    Args:
        stencil: (B, P, H, W) in [0, 1].
        targets: background, foreground, different: bool (B, P, H, W).
        counts: (3,), numbers of pairs that divide the sum of each kind, where this batch is a part of a
            larger one; by default those of this batch, `pair_counts`.

    Returns:
        loss = background / 4 + foreground / 4 + different / 2, and the three terms, all scalars.

    """
    affinity = stencil if stencil.dtype == torch.float64 else stencil.float()
    numbers = (pair_counts(targets) if counts is None else counts).to(affinity.dtype)
    alike, apart = -(affinity + LOG_GUARD).log(), -(1 + LOG_GUARD - affinity).log()
    background, foreground, different = (
        values.where(mask, 0.0).sum() / (number + LOG_GUARD)
        for values, mask, number in zip((alike, alike, apart), targets, numbers, strict=True)
    )
    return background / 4 + foreground / 4 + different / 2, (background, foreground, different)


def pair_counts(targets: Kinds) -> Tensor:
    """Count the pairs of each kind, bool (B, P, H, W): (3,) int64."""
    return torch.stack([kind.sum() for kind in targets])
