"""Whether the segmentation network has learned its masks, and more than these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss.data import ImageRow
from wsss.runtime.console import progress
from wsss.stages.health.alarms import Alarm, Verdict, listed, percent, points
from wsss.stages.health.counting import Counted, foreground_share, found_by_class
from wsss.stages.health.random_walk import RAGGED, SPECKLED, ragged

SCARCE, FULL = 0.01, 0.9
"""Foreground, as a share of all pixels. The default study has 33 %."""

FEW_PREDICTED = 0.5
"""Classes that are predicted nowhere, of those that val shows."""

UNLIKE, FAR = 0.5, 0.3
"""mIoU of the predictions on train, if the pseudo masks they were trained on were the truth."""

DROPS, COLLAPSES = 0.75, 0.5
"""mIoU on val, as a share of that on train. The studies have 0.93 and more."""

FOREGROUND = Alarm(
    name="all-background",
    stage="segmentation",
    title="a prediction that is all background, or all foreground",
    fires=f"alarm: foreground is less than {percent(SCARCE)} or more than {percent(FULL)} of the pixels of "
    "val",
    meaning="The network answers the same everywhere, whatever the image shows.",
    help=(
        "If the pseudo masks are nearly empty or full as well, begin there.",
        "Otherwise train longer, `segmenter.epochs`, or from weights that know photographs, "
        "`segmenter.weights: classifier`.",
    ),
)

NEVER = Alarm(
    name="never-predicted",
    stage="segmentation",
    title="classes that are never predicted",
    fires=f"alarm: {percent(FEW_PREDICTED)} of the classes that val shows are predicted in none of these "
    "images; warning: one class",
    meaning="The network has not learned the class, mostly because its pseudo masks are few or wrong.",
    help=(
        "Look for the class among the pseudo masks, in `RESULTS/masks/random_walk/train`.",
        "If it is, train longer: `segmenter.epochs`.",
    ),
)

BEHIND = Alarm(
    name="behind-its-masks",
    stage="segmentation",
    title="a network far from the masks it was trained on",
    fires="if `segmentation.splits` holds train; alarm: mIoU of the predictions on train with the pseudo "
    f"masks as truth below {points(FAR)}; warning: below {points(UNLIKE)}",
    meaning="The network has not learned its masks: the training is too short, or the masks follow no rule "
    "that a network could learn.",
    help=(
        "Train longer: `segmenter.epochs`; or change `segmenter.optimizer.learning_rate`.",
        "Compare masks and predictions: `RESULTS/report/train_worst.png`, which "
        "`snakemake plot_train_gallery` draws.",
    ),
)

DROP = Alarm(
    name="val-behind-train",
    stage="segmentation",
    title="a network that knows its training images only",
    fires=f"with true masks; alarm: mIoU on val less than {percent(COLLAPSES)} of that on train, or of the "
    f"pseudo masks' if train is not segmented; warning: less than {percent(DROPS)}",
    meaning="The network has learned its images by heart, or val shows something else than train.",
    help=(
        "Add images, or strengthen the augmentation: `segmenter.scale` and `segmenter.jitter`.",
        "Start from weights that know photographs, `segmenter.weights: classifier`, and keep the first "
        "stages: `segmenter.frozen_stages`.",
    ),
)

SPECKS = Alarm(
    name="segmentation-specks",
    stage="segmentation",
    title="predictions of specks",
    fires=f"alarm: the outlines in the median image of val are {SPECKLED:g} times as long as that of a "
    f"square of its foreground; warning: {RAGGED:g} times",
    meaning="Objects are in one piece or a few. The network follows noise.",
    help=(
        "Look at the worst: `RESULTS/report/val_worst.png`, which `snakemake plot_val_gallery` draws.",
        "If the pseudo masks are specks as well, begin there; otherwise train longer: `segmenter.epochs`.",
    ),
)


def check_segmentation(
    class_names: Sequence[str],
    images: Sequence[Counted],
    agreement: float | None,
    metrics: Mapping[str, Any],
    pseudo_masks: Mapping[str, Any],
) -> list[Verdict]:
    """Check the predictions of the segmentation network.

    Args:
        class_names: without background, in the order of the mask values.
        images: all of val, with the values of their predictions.
        agreement: see `agreement_with`; None if train is not segmented.
        metrics, pseudo_masks: content of `scores/segmentation.json` and `scores/random_walk.json`.
    """
    foreground = foreground_share(images)
    verdicts = [
        FOREGROUND.judge(
            f"{percent(foreground)} of the pixels of val", alarm=not SCARCE <= foreground <= FULL
        ),
        *_never(class_names, images),
        ragged(SPECKS, images),
    ]
    if agreement is not None:
        figure = f"mIoU with its pseudo masks {points(agreement)}"
        verdicts.append(BEHIND.judge(figure, alarm=agreement < FAR, warning=agreement < UNLIKE))
    on_train = metrics.get("train") or pseudo_masks
    if metrics["scored_images"] and on_train["scored_images"] and on_train["miou"]:
        share = metrics["miou"] / on_train["miou"]
        of = "on train" if "train" in metrics else "of the pseudo masks"
        figure = f"mIoU {points(metrics['miou'])} on val, {points(on_train['miou'])} {of}"
        verdicts.append(DROP.judge(figure, alarm=share < COLLAPSES, warning=share < DROPS))
    return verdicts


def agreement_with(
    pseudo_masks: Mapping[str, NDArray[np.uint8]],
    predictions: Mapping[str, NDArray[np.uint8]],
    rows: Sequence[ImageRow],
    n_values: int,
) -> float:
    """mIoU of predictions if the pseudo masks were the truth, over all pixels of all images together."""
    import torch  # no other check needs it

    from wsss.method.metrics import confusion_matrix, mean_iou

    confusion = torch.zeros(n_values, n_values, dtype=torch.int64)
    for row in progress(rows, label="agreement"):
        masks = torch.from_numpy(predictions[row.id]), torch.from_numpy(pseudo_masks[row.id])
        confusion += confusion_matrix(*masks, n_values)
    return float(mean_iou(confusion).item())


def _never(class_names: Sequence[str], images: Iterable[Counted]) -> list[Verdict]:
    counts = found_by_class(class_names, list(images))
    shown = {name: predicted for name, (predicted, count) in counts.items() if count}
    if not shown:
        return []
    never = [name for name, predicted in shown.items() if not predicted]
    most = len(never) >= FEW_PREDICTED * len(shown)
    return [NEVER.judge(listed(never) or f"all {len(shown)} are", alarm=most, warning=bool(never))]
