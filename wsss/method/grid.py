"""Between the image and AffinityNet's grid: cells of 8 x 8 pixels of the image after it was scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from wsss.method.neighbours import STRIDE
from wsss.method.resizing import bilinear, scaled_size
from wsss.method.upsampling import cells_to_pixels

Padding = Literal["none", "zeros"]
"""What lies beyond the image in the cells of its right and bottom border: nothing, or scores of zero."""


def to_grid(scores: Tensor, input_scale: float, padding: Padding = "none") -> Tensor:
    """Average scores over the cells of the grid.

    Args:
        scores: (C, H, W) at the image's size.
        input_scale: factor on the image before AffinityNet; a cell covers 8 / input_scale of its pixels.
        padding: "none" averages over the pixels inside the image; "zeros", as in the published code, over all
            8 x 8 of a cell, so that cells which reach beyond the image have lower scores.

    Returns:
        (C, h, w) with h = ceil(input_scale * H / 8).

    Raises:
        ValueError: an unknown `padding`.

    """
    if padding not in (allowed := get_args(Padding)):
        raise ValueError(f"padding: got {padding!r}, allowed {' or '.join(allowed)}")
    resized = bilinear(scores, scaled_size(scores.shape[-2:], input_scale))
    divisor = STRIDE**2 if padding == "zeros" else None
    # As images of one channel: PyTorch rounds small maps differently beside others.
    return F.avg_pool2d(resized[:, None], STRIDE, ceil_mode=True, divisor_override=divisor)[:, 0]


def from_grid(scores: Tensor, size: Sequence[int], input_scale: float) -> Tensor:
    """Bring scores bilinearly from the grid to the image.

    Args:
        scores: (C, h, w) on the grid.
        size: (H, W) of the image.
        input_scale: see `to_grid`.

    Returns:
        (C, H, W).

    """
    height, width = scaled_size(size, input_scale)
    if scores.device.type == "cpu":
        return cells_to_pixels(scores, STRIDE, (height, width), size)
    fine = F.interpolate(scores[:, None], scale_factor=STRIDE, mode="bilinear", align_corners=False)
    return bilinear(fine[..., :height, :width], size)[:, 0]
