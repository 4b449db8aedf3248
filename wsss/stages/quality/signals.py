"""The signals of one image: its mask beside other ways to make it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Tensor

from wsss.data import ImageRow
from wsss.data.loading import in_threads
from wsss.method.cam import with_background
from wsss.method.labels import BACKGROUND, IGNORE
from wsss.method.metrics import confusion_matrix, mean_iou
from wsss.results import SIGNALS, Affinities, AffinityGrid, Cams, ImageSignals
from wsss.stages.random_walk import background_of, mask_of, propagate_scores
from wsss.study.config import RandomWalk
from wsss.study.config.fields import settled

Mask = NDArray[np.uint8]

ALPHA_FACTOR = 2.0
"""Of the other backgrounds: alpha is multiplied and divided by it."""

CONSTANT_FACTOR = 4 / 3
"""The same for a constant: what doubling alpha does to the CAM value up to which the background wins."""

HIGHEST_CONSTANT = 0.95

NEAR = 0.02
"""Distance from the outlines of a mask that counts as near, as a share of the longest side."""

GONE = 0.001
"""Share of an image below which a label has vanished."""


class Beside(NamedTuple):
    """What a mask is compared with besides the walk: masks (H, W) by image id, where there are any."""

    confident: Mapping[str, Mask] | None = None
    predictions: Mapping[str, Mask] | None = None


NOTHING = Beside()


def measure_images(
    rows: Iterable[ImageRow],
    cams: Mapping[str, Cams],
    affinities: Affinities,
    masks: Mapping[str, Mask],
    walk: RandomWalk,
    beside: Beside = NOTHING,
    threads: int = 1,
) -> Iterator[ImageSignals]:
    """Measure the signals of the pseudo masks of images.

    Args:
        rows: the images.
        cams: by image id.
        affinities: of the same images, and the grid on which they were computed.
        masks: the pseudo masks, by image id.
        walk: that has made them, without `auto`; `refine` says whether the dense CRF has refined them.
        beside: confident regions and predictions of the same images.
        threads: the most images at once.
    """
    input_scale = AffinityGrid.of(affinities).input_scale

    def measure(row: ImageRow) -> ImageSignals:
        scores, class_values = cams[row.id]
        boundary = affinities.boundary(row.id)
        signals = walk_signals(
            torch.from_numpy(affinities[row.id]),
            torch.from_numpy(scores),
            class_values,
            masks[row.id],
            input_scale=input_scale,
            walk=walk,
            boundary=None if boundary is None else torch.from_numpy(boundary),
        )
        signals |= mask_signals(masks[row.id], class_values)
        if beside.confident is not None:
            signals["confident"] = agreement(masks[row.id], beside.confident[row.id])
        if beside.predictions is not None:
            kept = kept_to(beside.predictions[row.id], class_values)
            signals["network"] = agreement(masks[row.id], kept)
        return ImageSignals(row.id, dict.fromkeys(SIGNALS, math.nan) | signals)

    return in_threads(measure, rows, threads)


def walk_signals(
    stencil: Tensor,
    cams: Tensor,
    class_values: NDArray[np.int64],
    mask: Mask,
    *,
    input_scale: float,
    walk: RandomWalk,
    boundary: Tensor | None = None,
) -> dict[str, float]:
    """Compare a pseudo mask with others of the same CAMs and affinities.

    Args:
        stencil: affinities (P, h, w) before the power beta.
        cams: (K, H, W) in [0, 1].
        class_values: (K,) mask values of the maps.
        mask: (H, W), the pseudo mask.
        input_scale: the factor with which the affinities were computed.
        walk: that has made the mask.
        boundary: (h, w) in [0, 1], if the affinities come from one.

    Returns:
        `alpha`, `walk`, `margin` and `contour`, and of a refined mask `dense_crf` and `changed`.
    """

    def walked(of: RandomWalk) -> Tensor:
        return propagate_scores(stencil, cams, input_scale=input_scale, walk=of, boundary=boundary)

    scores = walked(walk)
    alone = with_background(cams, background_of(cams, walk.background)).float()
    others = [mask_of(walked(other), class_values) for other in other_backgrounds(walk)]
    signals = {
        "alpha": float(np.mean([agreement(mask, other) for other in others])),
        "walk": agreement(mask, mask_of(alone, class_values)),
        **margins(scores, mask),
    }
    if walk.refine != "none":
        before = mask_of(scores, class_values)
        signals |= {"dense_crf": agreement(mask, before), "changed": float(np.mean(mask != before))}
    return signals


def other_backgrounds(walk: RandomWalk) -> tuple[RandomWalk, RandomWalk]:
    """The same walk over more background and over less."""
    background = walk.background
    if background.kind == "power":
        alpha = settled(background.alpha)
        others = [{"alpha": alpha / ALPHA_FACTOR}, {"alpha": alpha * ALPHA_FACTOR}]
    else:
        score = settled(background.score)
        more = min(score * CONSTANT_FACTOR, max(score, HIGHEST_CONSTANT))
        others = [{"score": more}, {"score": score / CONSTANT_FACTOR}]
    first, second = (
        walk.model_copy(update={"background": background.model_copy(update=other)}) for other in others
    )
    return first, second


def margins(scores: Tensor, mask: Mask) -> dict[str, float]:
    """Mean distance of the best score (1 + K, H, W) from the second: of all pixels, and near the outlines.

    Without classes the background is certain; without outlines there is nothing near them, nan.
    """
    if len(scores) < 2:
        return {"margin": 1.0, "contour": math.nan}
    best, second = scores.topk(2, 0).values
    margin = (best - second).clamp(0, 1).numpy()
    near = near_outlines(mask)
    return {
        "margin": float(margin.mean()),
        "contour": float(margin[near].mean()) if near.any() else math.nan,
    }


def near_outlines(mask: Mask) -> NDArray[np.bool_]:
    """Mark the pixels (H, W) within `NEAR` of a border between two values of a mask."""
    outline = np.zeros(mask.shape, np.bool_)
    for axis in (0, 1):
        along, on = np.moveaxis(mask, axis, 0), np.moveaxis(outline, axis, 0)
        border = along[1:] != along[:-1]
        on[1:] |= border
        on[:-1] |= border
    reach = max(1, round(NEAR * max(mask.shape)))
    near: NDArray[np.bool_] = binary_dilation(outline, iterations=reach)
    return near


def mask_signals(mask: Mask, class_values: NDArray[np.int64]) -> dict[str, float]:
    """What a mask (H, W) tells by itself: `area` and `vanished`, 0 for an image without labels."""
    shares = [float(np.mean(mask == value)) for value in class_values]
    vanished = float(np.mean([share < GONE for share in shares])) if shares else 0.0
    return {"area": float(np.mean(mask != BACKGROUND)), "vanished": vanished}


def kept_to(prediction: Mask, class_values: NDArray[np.int64]) -> Mask:
    """Give the pixels of a prediction (H, W) that belong to no label of the image to the background."""
    return np.where(np.isin(prediction, class_values), prediction, BACKGROUND).astype(np.uint8)


def agreement(mask: Mask, other: Mask) -> float:
    """Mean IoU of two masks (H, W) over the values that one of them has; symmetric.

    Pixels at which the other one is undecided (255) do not count; nan if all are.
    """
    decided = other[other != IGNORE]
    n_values = 1 + max(int(mask.max(initial=0)), int(decided.max(initial=0)))
    confusion = confusion_matrix(torch.from_numpy(mask), torch.from_numpy(other), n_values)
    return float(mean_iou(confusion))
