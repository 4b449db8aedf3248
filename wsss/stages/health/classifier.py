"""Whether the classifier knows its classes, by the images of val."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wsss.method.labels import class_values
from wsss.results import ClassifiedImage
from wsss.stages.health.alarms import Alarm, Verdict, listed, percent, points

GAIN = 0.25
"""How much of the way from chance to certainty the average precision must go. The studies reach 0.9; on a
class of three images in twenty a random order gets there one time in seven."""

JUDGED = 3
"""Images of a class in val that it takes to judge it by itself."""

CHANCE = Alarm(
    name="near-chance",
    stage="classifier",
    title="a classifier near chance",
    fires=f"alarm: average precision (AP) on val is less than {percent(GAIN)} of the way from chance to 100"
    f" %, in the mean or for half of the classes; warning: for a class with {JUDGED} images or more",
    meaning="The classifier hardly knows which images show the class, so that its CAM cannot know where.",
    help=(
        "Start from a network that knows photographs: `classifier.weights: imagenet`, with a backbone such "
        "as `classifier.backbone: mobilenet_v2`.",
        "Train longer: `classifier.epochs`; or change `classifier.optimizer.learning_rate`.",
        "Compare some images with their labels: a list that is shifted by a line looks like this too.",
    ),
)


def check_classifier(
    class_names: Sequence[str], metrics: Mapping[str, Any], images: Iterable[ClassifiedImage]
) -> list[Verdict]:
    """Compare the average precision of each class with that of a random order of the images.

    Args:
        class_names: without background, in the order of the mask values.
        metrics: content of `scores/classifier.json`.
        images: of `scores/classifier.tsv`.
    """
    judged = _judged(class_names, metrics, images)
    if not judged:
        return []
    gains = {name: (found.precision - found.chance) / (1 - found.chance) for name, found in judged.items()}
    poor = [name for name, found in judged.items() if gains[name] < GAIN and found.images >= JUDGED]
    precision = float(np.mean([found.precision for found in judged.values()]))
    by_chance = float(np.mean([found.chance for found in judged.values()]))
    classes = listed(
        f"{name} {points(judged[name].precision)}, chance {points(judged[name].chance)}" for name in poor
    )
    figure = f"mean AP {points(precision)}, chance {points(by_chance)}" + (f"; {classes}" if poor else "")
    hardly = float(np.mean(list(gains.values()))) < GAIN or 2 * len(poor) >= len(judged)
    return [CHANCE.judge(figure, alarm=hardly, warning=bool(poor))]


class _Judged(NamedTuple):
    """A class: its average precision, that of a random order, and its images."""

    precision: float
    chance: float
    images: int


def _judged(
    class_names: Sequence[str], metrics: Mapping[str, Any], images: Iterable[ClassifiedImage]
) -> dict[str, _Judged]:
    """The classes that some images have and some have not."""
    shown: Counter[int] = Counter(image.class_value for image in images if image.label)
    values = dict(zip(class_names, class_values(range(len(class_names))).tolist(), strict=True))
    count, precision = metrics["scored_images"], metrics["average_precision"]
    return {
        name: _Judged(precision[name], chance(count, shown[value]), shown[value])
        for name, value in values.items()
        if 0 < shown[value] < count
    }


def chance(images: int, positive: int) -> float:
    """Average precision to be expected of a random order of images of which some are positive.

    At rank i a positive image has 1 + (i - 1) (positive - 1) / (images - 1) positive ones up to it, and each
    rank is as likely. It is above the frequency of the class, by much where there are few images."""
    harmonic = sum(1 / rank for rank in range(1, images + 1))
    others = (positive - 1) / (images - 1) if images > 1 else 0.0
    return (harmonic + others * (images - harmonic)) / images
