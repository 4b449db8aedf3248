"""Sizes of scaled images, and bilinear resizing, the one way in which score maps change their resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def scaled_size(size: Sequence[int], factor: float) -> tuple[int, int]:
    """Height and width in pixels after scaling: rounded, at least 1."""
    height, width = (max(1, round(side * factor)) for side in size)
    return height, width


def bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps bilinearly, without aligning corners; maps of that size already are returned as they are.

    Args:
        maps: (B, C, h, w), or (K, h, w) with K from 0 up. Of the latter each is resized by itself, because
            PyTorch rounds small maps differently when others are beside them.
        size: (H, W).

    Returns:
        (B, C, H, W) or (K, H, W), of the same dtype and device.

    """
    size = (size[0], size[1])
    if maps.shape[-2:] == size:
        return maps
    if maps.numel() == 0:  # interpolate refuses an empty stack
        return maps.new_zeros(*maps.shape[:-2], *size)
    alone = maps.unsqueeze(1) if maps.ndim == 3 else maps
    resized = F.interpolate(alone, size, mode="bilinear", align_corners=False)
    return resized.squeeze(1) if maps.ndim == 3 else resized
