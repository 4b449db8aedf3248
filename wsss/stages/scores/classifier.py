"""How well the classifier knows the classes of photographs that it was not trained on; no mask is needed."""

from __future__ import annotations

import torch

from wsss.data import Manifest
from wsss.method.metrics import average_precision
from wsss.models.classifier import Classifier
from wsss.runtime import Compute, progress
from wsss.stages.cams.classifier import classify
from wsss.stages.scores.masks import Scores

PROTOCOL = (
    "Average precision per class, without interpolation, of one pass over each whole image; map: their mean."
)


def score_classifier(model: Classifier, images: Manifest, compute: Compute) -> Scores:
    """Score a classifier, in evaluation mode and on the device of `compute`, by the labels of `images`."""
    rows, logits = zip(
        *progress(classify(model, images.rows, compute=compute), len(images)),
        strict=True,
    )
    present = torch.tensor([[label in row.labels for label in range(len(images.classes))] for row in rows])
    precision = average_precision(torch.stack(logits).float(), present)
    return {
        "protocol": PROTOCOL,
        "split": images.rows[0].split,
        "scored_images": len(images),
        "average_precision": dict(zip(images.classes, precision.tolist(), strict=True)),
        "map": precision.nanmean().item(),
    }
