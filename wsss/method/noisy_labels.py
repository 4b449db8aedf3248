"""Losses for masks that are partly wrong, as pseudo masks are. No part of the AffinityNet paper."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.method.labels import IGNORE

LOG_ZERO = -4.0
"""What stands for log 0 in the reverse cross entropy (Wang et al., section 4.1: A = -4 on noisy images)."""


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """-log p of each pixel's class.

    Args:
        logits: (B, C, H, W).
        masks: (B, H, W) uint8 of mask values.

    Returns:
        (B, H, W), 0 where the mask is 255.
    """
    return F.cross_entropy(logits, masks.long(), ignore_index=IGNORE, reduction="none")


def symmetric_cross_entropy(logits: Tensor, masks: Tensor, forward: float, reverse: float) -> Tensor:
    """Cross entropy in both directions (Wang et al., Symmetric Cross Entropy, ICCV 2019, equation 7).

    The reverse one, -Σ p log q with log 0 = -4, is 4 (1 - p) of the mask's class. Unlike -log p it is
    bounded, so that a pixel whose class the network denies cannot pull without limit.

    Args:
        logits: (B, C, H, W).
        masks: (B, H, W) uint8 of mask values.
        forward, reverse: weights of the two, α and β of the paper.

    Returns:
        (B, H, W), 0 where the mask is 255.
    """
    losses = cross_entropy(logits, masks)
    denied = -torch.expm1(-losses)  # 1 - p, and 0 where the mask is 255
    return forward * losses - reverse * LOG_ZERO * denied


def bootstrapped_cross_entropy(
    logits: Tensor, masks: Tensor, share: float, target: Literal["soft", "hard"]
) -> Tensor:
    """Cross entropy with a target that is partly the network's own belief (Reed et al., 2015, section 3).

    Args:
        logits: (B, C, H, W).
        masks: (B, H, W) uint8 of mask values.
        share: of the mask in the target, β of the paper.
        target: what the rest is, the probabilities or the most likely class.

    Returns:
        (B, H, W), 0 where the mask is 255.
    """
    log = logits.log_softmax(1)
    own = -(log.exp() * log).sum(1) if target == "soft" else -log.amax(1)
    known = masks != IGNORE
    return share * cross_entropy(logits, masks) + (1 - share) * own * known
