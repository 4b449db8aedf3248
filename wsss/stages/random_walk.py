"""From CAMs and affinities to pseudo masks, on AffinityNet's grid and back (Ahn & Kwak 2018, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.data.transforms import scaled_size
from wsss.method.affinity import STRIDE
from wsss.method.cam import background_score, constant_background
from wsss.method.random_walk import propagate
from wsss.method.upsampling import cells_to_pixels
from wsss.results import PseudoMask
from wsss.stages.inference.passes import bilinear
from wsss.stages.inference.refinement import Refine
from wsss.study.config import RandomWalk

LEAST_PEAK = 1e-5
"""A class whose largest walked score is below this is not raised to 1: it is nowhere."""


def propagate_image(
    stencil: Tensor,
    cams: Tensor,
    classes: Sequence[int],
    *,
    input_scale: float,
    walk: RandomWalk,
    boundary: Tensor | None = None,
    refine: Refine | None = None,
) -> PseudoMask:
    """Make a pseudo mask: CAMs and a background, walked over the affinities (Ahn & Kwak 2018, section 3.3).

    Args:
        stencil: affinities (P, h, w) of `compute_affinities`.
        cams: (K, H, W) in [0, 1]; with K = 0 all is background.
        classes: the K classes, 0-based.
        input_scale: the factor with which the affinities were computed.
        walk: background, beta, t, tolerance, normalize and normalize_by.
        boundary: (h, w) in [0, 1], if the affinities come from one: classes start with that much less there,
            as in IRN.
        refine: function from scores (1 + K, H, W), background first, to refined ones.

    Returns:
        mask (H, W) uint8, the scores (1 + K, h, w) float16 on the grid, and what they stand for: mask values
        (1 + K,), 0 and then class + 1.
    """
    scores = to_grid(with_background(cams, walk), input_scale)
    if boundary is not None:
        scores[1:] *= 1 - boundary.to(scores.dtype)
    walked = propagate(stencil.float(), scores, beta=walk.beta, t=walk.t, tolerance=walk.tolerance)
    if walk.normalize:
        walked[1:] = peaks_to_one(walked[1:], walk.normalize_by)
    values = np.array([0, *(label + 1 for label in classes)], np.int64)
    fine = from_grid(walked, cams.shape[-2:], input_scale)
    if walk.background == "constant":
        fine[0] = walk.constant  # to the last digit, which resizing may round
    winner = (refine(fine) if refine else fine).argmax(0).cpu().numpy()
    return PseudoMask(values.astype(np.uint8)[winner], walked.half().cpu().numpy(), values)


def with_background(cams: Tensor, walk: RandomWalk) -> Tensor:
    """Put the background's scores before the CAMs: (K, H, W) → (1 + K, H, W) float32."""
    if walk.background == "power":
        background = background_score(cams, walk.alpha)
    else:
        background = constant_background(cams, walk.constant)
    return torch.cat([background[None], cams.to(background.dtype)])


def peaks_to_one(classes: Tensor, by: Literal["class", "image"] = "class") -> Tensor:
    """Divide each class (K, h, w) by its own maximum, or all by the image's, as IRN does after the walk."""
    peaks = classes.amax((1, 2), keepdim=True).clamp(min=LEAST_PEAK)
    if by == "image" and len(peaks):
        peaks = peaks.amax(0, keepdim=True)
    return classes / peaks


def to_grid(scores: Tensor, input_scale: float) -> Tensor:
    """Average scores (C, H, W) over AffinityNet's cells, at the border over the pixels inside: (C, h, w)."""
    # As images of one channel: PyTorch rounds small maps differently beside others.
    resized = bilinear(scores[:, None], scaled_size(scores.shape[-2:], input_scale))
    return F.avg_pool2d(resized, STRIDE, ceil_mode=True)[:, 0]


def from_grid(scores: Tensor, size: Sequence[int], input_scale: float) -> Tensor:
    """Bring scores (C, h, w) bilinearly from AffinityNet's cells to the image: (C, H, W), ``size`` (H, W)."""
    height, width = scaled_size(size, input_scale)
    if scores.device.type == "cpu":
        return cells_to_pixels(scores, STRIDE, (height, width), size)
    fine = F.interpolate(scores[:, None], scale_factor=STRIDE, mode="bilinear", align_corners=False)
    return bilinear(fine[..., :height, :width], size)[:, 0]
