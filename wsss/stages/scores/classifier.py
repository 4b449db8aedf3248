"""How well the classifier knows the classes of photographs that it was not trained on; no mask is needed."""

from __future__ import annotations

from typing import NamedTuple

import torch

from wsss.data import Manifest
from wsss.method.labels import class_values
from wsss.method.metrics import average_precision
from wsss.models.classifier import Classifier
from wsss.results import ClassifiedImage
from wsss.runtime.compute import Compute
from wsss.runtime.console import progress
from wsss.stages.cams.classifier import classify
from wsss.stages.scores.truth import Metrics

PROTOCOL = (
    "Average precision per class, without interpolation, of one pass over each whole image; map: their mean."
)


class ScoredClassifier(NamedTuple):
    """Quality of a classifier: `metrics` of all images, `classifier.json`, and `images`, its `.tsv`."""

    metrics: Metrics
    images: list[ClassifiedImage]


def score_classifier(model: Classifier, images: Manifest, compute: Compute) -> ScoredClassifier:
    """Score a classifier by the labels of images, which must be at least one.

    Args:
        model: in evaluation mode, on the device of `compute`.
        images: of one split.
        compute: where and how.
    """
    indices = range(len(images.class_names))
    rows, logits = zip(*progress(classify(model, images.rows, compute=compute), len(images)), strict=True)
    scores = torch.stack(logits).float()
    present = torch.tensor([[index in row.labels for index in indices] for row in rows])
    precision = average_precision(scores, present)
    values = class_values(indices).tolist()
    metrics = {
        "protocol": PROTOCOL,
        "split": images.rows[0].split,
        "scored_images": len(images),
        "average_precision": dict(zip(images.class_names, precision.tolist(), strict=True)),
        "map": precision.nanmean().item(),
    }
    classified = [
        ClassifiedImage(row.id, row.split, *found)
        for row, of_row, has in zip(rows, scores.tolist(), present.tolist(), strict=True)
        for found in zip(values, of_row, has, strict=True)
    ]
    return ScoredClassifier(metrics, classified)
