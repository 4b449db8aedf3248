"""Class activation maps from the raw scores of a classifier (Ahn & Kwak 2018, section 3.1).

The classifier is passed over the image at several scales and mirrored; `combine_cams` merges the passes into
one map per class. Two background scores turn class maps into a complete set of scores: the paper's power of
what no class claims (`background_score`) and the constant that later methods use (`constant_background`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from wsss.method.resizing import bilinear

CLASS_MAXIMUM_GUARD = 1e-5
"""Added to a class's maximum before the division, so that a class which is nowhere active stays zero."""

LEAST_PEAK = 1e-5
"""Classes whose peak is below this count as absent and are not raised to 1."""


def combine_cams(
    passes: Iterable[tuple[Tensor, bool]], size: tuple[int, int], *, power: float = 1.0
) -> Tensor:
    """Merge the raw class scores of several scales and flips into CAMs.

    Each pass is rectified, raised to `power`, resized bilinearly to the image, mirrored back if the image was
    mirrored, and added; the sum is divided by its maximum per class.

    Args:
        passes: pairs of raw scores (K, h, w) or (B, K, h, w), of any resolution, and whether the image was
            mirrored for them. An iterator is read once, so that a single pass is in memory at a time. K = 0
            is an image without labels.
        size: (H, W) of the image in pixels.
        power: exponent after the rectification; the published VGG16 code takes the square root (0.5).

    Returns:
        (K, H, W) or (B, K, H, W) in [0, 1), float32 (float64 if the scores are).

    Raises:
        ValueError: there is no pass, or two passes differ in their classes.

    Examples:
        One class seen in a row of two cells, and in the mirror image, where its cell is on the other side:

        >>> import torch, wsss
        >>> raw = torch.tensor([[[0.0, 4.0]]])
        >>> cams = wsss.combine_cams([(raw, False), (raw.flip(-1), True)], size=(1, 2))
        >>> cams.round(decimals=2).tolist()
        [[[0.0, 1.0]]]
    """
    total: Tensor | None = None
    for scores, mirrored in passes:
        activation = bilinear(_widen(scores).relu() ** power, size)
        activation = activation.flip(-1) if mirrored else activation
        if total is not None and total.shape != activation.shape:
            raise ValueError(
                f"combine_cams: passes disagree, {tuple(total.shape)} and then {tuple(activation.shape)}"
            )
        total = activation if total is None else total + activation
    if total is None:
        raise ValueError("combine_cams: expected the scores of at least one pass, got none")
    return total / (total.amax((-2, -1), keepdim=True) + CLASS_MAXIMUM_GUARD)


def background_score(cams: Tensor, alpha: float) -> Tensor:
    """Score the background by what no class claims: (1 - max_c M_c)^alpha.

    Args:
        cams: (K, H, W) in [0, 1]; with K = 0 the background is certain everywhere.
        alpha: positive; a larger one shrinks the background.

    Returns:
        (H, W) in [0, 1], float32 (float64 if `cams` is).

    Examples:
        >>> import torch, wsss
        >>> cams = torch.tensor([[[0.0, 0.5, 1.0]]])
        >>> wsss.background_score(cams, alpha=2).tolist()
        [[1.0, 0.25, 0.0]]
    """
    return (1 - _strongest_class(cams)).clamp(min=0) ** alpha


def constant_background(cams: Tensor, constant: float) -> Tensor:
    """Give the background the same score everywhere, as IRN and MCTformer do: (H, W), for cams (K, H, W)."""
    return torch.full_like(_strongest_class(cams), constant)


def with_background(cams: Tensor, background: Tensor) -> Tensor:
    """Put the background's scores (H, W) before the CAMs: (K, H, W) → (1 + K, H, W), dtype of the former."""
    return torch.cat([background[None], cams.to(background.dtype)])


def peaks_to_one(scores: Tensor, of: Literal["class", "image"]) -> Tensor:
    """Divide score maps by their largest value, as IRN does after the walk.

    Args:
        scores: (K, h, w), from 0 up, of the classes alone; K may be 0.
        of: "class" divides each map by its own maximum, "image" all maps by the largest of them.

    Returns:
        (K, h, w) in [0, 1]. Classes whose peak is below `LEAST_PEAK` count as absent and stay near zero.

    """
    peaks = scores.amax((1, 2), keepdim=True).clamp(min=LEAST_PEAK)
    if of == "image" and len(peaks):
        peaks = peaks.amax(0, keepdim=True)
    return scores / peaks


def _widen(scores: Tensor) -> Tensor:
    """Cast half precision to float32, in which a sum over scales and 1 - max keep their digits."""
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


def _strongest_class(cams: Tensor) -> Tensor:
    """Return the largest score of any class, (H, W) for cams (K, H, W); zero everywhere if K is 0."""
    scores = _widen(cams)
    return torch.cat([scores.new_zeros(1, *scores.shape[1:]), scores]).amax(0)
