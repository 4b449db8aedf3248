"""Whether the CAMs lie on their objects; only true masks tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wsss.method.labels import BACKGROUND_NAME
from wsss.stages.health.alarms import Alarm, Verdict, known, listed, points

MISSED = 0.15
"""Mean IoU of the classes, without background. The CAMs of the studies have 0.44 and more; a CAM that covers
the whole image has the share of the object in it, 0.1 to 0.3."""

LOST = 0.05
"""IoU of a class that is as good as not there."""

MISS = Alarm(
    name="cams-miss",
    stage="cams",
    title="CAMs that miss their objects",
    fires=f"with true masks; alarm: mean IoU of the classes, without background, below {points(MISSED)}; "
    f"warning: a class below {points(LOST)}",
    meaning="All later masks grow from the CAMs. The classifier may know the class by its surroundings, "
    "water for boats, or the network may see too coarsely for small objects.",
    help=(
        "Look at the worst: `RESULTS/report/train_worst.png`, which `snakemake plot_train_gallery` draws.",
        "For small objects: larger `cams.scales`, a smaller `classifier.output_stride`.",
        "For surroundings: add images of the surroundings without the class.",
    ),
)


def check_cams(metrics: Mapping[str, Any]) -> list[Verdict]:
    """Check the content of `scores/cams.json`."""
    if not metrics["scored_images"]:
        return []
    iou = {
        name: value
        for name in metrics["value_names"]
        if name != BACKGROUND_NAME and (value := known(metrics["iou"][name])) is not None
    }
    if not iou:
        return []
    mean, missed = float(np.mean(list(iou.values()))), [name for name, value in iou.items() if value < LOST]
    classes = listed(f"{name} {points(iou[name])}" for name in missed)
    figure = f"mean IoU of the classes {points(mean)}" + (f"; {classes}" if missed else "")
    return [MISS.judge(figure, alarm=mean < MISSED, warning=bool(missed))]
