"""From signals to an order in which to look at masks, and to what they say of each class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from wsss.data import Manifest
from wsss.results import SIGNALS, ImageSignals, RankedImage

DIGITS = 4
"""Of scores and means, as the tables have them: what is equal there counts as equal."""

PER_LABEL = 0.05
"""What a score loses by each label after the first; more ranks photographs better and drawn scenes worse."""

FIRST = 0.1
"""Share of the images at the top of the list, of which it is told how many have a class."""


def score(signals: Mapping[str, float], n_labels: int) -> float:
    """How far a mask is to be trusted, in [0, 1], by what ranks best; figures: docs/quality.md.

    Where a network has seen the image its agreement ranks best by itself. Else it is the agreement with other
    backgrounds, less a little for each label after the first: one more class that can take another's place.
    """
    network = signals.get("network", math.nan)
    if not math.isnan(network):
        return round(network, DIGITS)
    return round(max(0.0, signals["alpha"] - PER_LABEL * max(0, n_labels - 1)), DIGITS)


def rank_images(images: Iterable[ImageSignals], manifest: Manifest) -> list[RankedImage]:
    """Order images by the score of their masks, the least first; of equals the first id.

    Args:
        images: their signals.
        manifest: the same images, with their labels.
    """
    labels = {row.id: tuple(manifest.class_names[label] for label in row.labels) for row in manifest}
    scored = sorted((score(signals, len(labels[image])), image, signals) for image, signals in images)
    return [
        RankedImage(rank, image, labels[image], value, signals)
        for rank, (value, image, signals) in enumerate(scored, start=1)
    ]


def summarize_classes(ranking: Sequence[RankedImage], class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the images of each class: means of score and signals, and how many are at the top.

    Args:
        ranking: all images.
        class_names: without background.

    Returns:
        A row per class, the one with the least mean score first, and those without images last: class,
        images, images in the first tenth of the list, mean score, mean of each signal; nan without any.
    """
    top = len(ranking) * FIRST
    rows = []
    for name in class_names:
        own = [image for image in ranking if name in image.labels]
        rows.append(
            {
                "class": name,
                "images": len(own),
                "first_tenth": sum(image.rank <= top for image in own),
                "score": _mean(image.score for image in own),
                **{signal: _mean(image.signals[signal] for image in own) for signal in SIGNALS},
            }
        )
    return sorted(rows, key=lambda row: (math.isnan(row["score"]), row["score"], row["class"]))


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return round(fmean(known), DIGITS) if known else math.nan
