"""Equivariance of CAMs: a smaller, mirrored image has the CAMs of the image, made smaller and mirrored.

A true mask follows every resizing of its image; CAMs learned from image-level labels need not, and demanding
it is supervision that costs no labels: Wang et al., Self-supervised Equivariant Attention Mechanism (SEAM,
CVPR 2020), section 3.2. Their pixel correlation module, another part of the network, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wsss.method.cam import combine_cams
from wsss.method.resizing import bilinear


def mirrored_view(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize images or maps (B, C, h, w) to a size (H, W), bilinearly, and mirror them: (B, C, H, W)."""
    return bilinear(maps, size).flip(-1)


def equivariance_loss(raw: Tensor, raw_of_view: Tensor, labels: Tensor) -> Tensor:
    """Mean absolute difference between the CAMs of a view and the view of the CAMs (SEAM, section 3.2).

    Both are rectified and divided by their maximum per class, and those of classes that the image does not
    have count as zero, as in the published code. The gradient flows into both. The exponent that some
    backbones' CAMs have is left out, because the slope of a square root at 0 is infinite.

    Args:
        raw: scores (B, C, h, w) of the images, before the rectification.
        raw_of_view: scores (B, C, h', w') of `mirrored_view` of the images.
        labels: (B, C), 1 where the image has the class, else 0.

    Returns:
        A scalar in [0, 1]: the mean over images, classes and the cells of the view.
    """
    expected = mirrored_view(_class_maps(raw), raw_of_view.shape[-2:])
    difference = (_class_maps(raw_of_view) - expected).abs()
    return (difference * labels[..., None, None]).mean()


def _class_maps(raw: Tensor) -> Tensor:
    return combine_cams([(raw, False)], (raw.shape[-2], raw.shape[-1]))
