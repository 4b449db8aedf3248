"""Quality of masks and confident regions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import Manifest
from wsss.method.metrics import confident_confusion, confident_quality, confusion_matrix
from wsss.stages.scores.truth import Scored, Truth

LabelMaps = Mapping[str, NDArray[np.uint8]]
"""Masks or confident labels (H, W) by image id."""

CONFIDENT_PROTOCOL = (
    "Undecided pixels are the last column of the confusion; they count against IoU and recall. "
    "Shares are of all pixels with a known truth."
)


def score_masks(truth: Truth, masks: LabelMaps) -> Scored:
    """Score the masks of a split."""
    n_values = len(truth.value_names)
    return truth.scored(
        truth.confused(image_id, confusion_matrix(torch.from_numpy(masks[image_id]), true_mask, n_values))
        for image_id, true_mask in truth
    )


def score_splits(manifest: Manifest, masks: Mapping[str, LabelMaps]) -> Scored:
    """Score the masks of several splits.

    Args:
        manifest: with the true masks.
        masks: by split, the one that is meant by "the score" first.

    Returns:
        The metrics of the first split, those of the others in them by name, and the images of all splits.
    """
    (_, scored), *others = ((split, score_masks(Truth(manifest, split), of)) for split, of in masks.items())
    return Scored(
        scored.metrics | {split: other.metrics for split, other in others},
        [*scored.images, *(image for _, other in others for image in other.images)],
    )


def score_confident(truth: Truth, labels: LabelMaps) -> Scored:
    """Measure how much of the images confident regions cover, and how much of that is right."""
    n_values = len(truth.value_names)
    scored = truth.scored(
        (
            truth.confused(
                image_id, confident_confusion(torch.from_numpy(labels[image_id]), true_mask, n_values)
            )
            for image_id, true_mask in truth
        ),
        CONFIDENT_PROTOCOL,
        undecided=True,
    )
    quality = confident_quality(torch.tensor(scored.metrics["confusion"]))
    return scored._replace(metrics=scored.metrics | quality._asdict())
