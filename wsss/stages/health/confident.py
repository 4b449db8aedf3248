"""Whether the confident regions are something that AffinityNet can learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsss.method.neighbours import STRIDE
from wsss.stages.health.alarms import Alarm, Verdict, known, listed, percent
from wsss.stages.health.counting import Counted, background_share, foreground_share, found_by_class

SCARCE, FULL = 0.01, 0.9
"""Shares of all pixels. The studies have 17 and 26 % foreground, 42 and 54 % background; below 1 % hardly a
crop holds a pair of cells to compare."""

CELL = STRIDE * STRIDE
"""Pixels without which a region labels no cell."""

SHOWN = 0.25
"""Images of a class in which it has a region; in the studies it is all of them."""

DOUBTFUL, WRONG = 0.5, 0.3
"""Share of the confident foreground that is of its class. The studies have 68 and 96 %."""

NONE = Alarm(
    name="no-confident-region",
    stage="confident",
    title="classes without confident regions",
    fires=f"alarm: a class has a region of {CELL} pixels in none of its images; warning: in less than "
    f"{percent(SHOWN)} of them",
    meaning="AffinityNet never sees where this class ends, so the walk treats it like its surroundings.",
    help=(
        "Raise `confident.background.low_alpha` (kind power), or lower "
        "`confident.background.foreground` (kind constant): classes win sooner.",
        "For small objects: `confident.refine: none`, or a shorter distance in `dense_crf.bilateral`.",
    ),
)

FOREGROUND = Alarm(
    name="confident-foreground",
    stage="confident",
    title="hardly any confident foreground, or nothing else",
    fires=f"alarm: confident foreground is less than {percent(SCARCE)} or more than {percent(FULL)} of all "
    "pixels",
    meaning="AffinityNet learns from pairs of cells of the same and of different classes, and one of the "
    "two kinds is missing.",
    help=(
        "Too little: raise `confident.background.low_alpha` (kind power), or lower "
        "`confident.background.foreground` (kind constant). Too much: the other way.",
    ),
)

BACKGROUND = Alarm(
    name="confident-background",
    stage="confident",
    title="hardly any confident background",
    fires=f"alarm: confident background is less than {percent(SCARCE)} of all pixels",
    meaning="AffinityNet learns no border between a class and the background, so the walk runs over it.",
    help=(
        "Lower `confident.background.high_alpha` (kind power), or raise "
        "`confident.background.background` (kind constant): background wins sooner.",
    ),
)

DOUBT = Alarm(
    name="confident-wrong",
    stage="confident",
    title="confident regions that are wrong",
    fires=f"with true masks; alarm: less than {percent(WRONG)} of the confident foreground is right; "
    f"warning: less than {percent(DOUBTFUL)}",
    meaning="AffinityNet learns borders that are not there.",
    help=(
        "Lower `confident.background.low_alpha` (kind power), or raise "
        "`confident.background.foreground` (kind constant): fewer pixels, but surer ones.",
        "Look at the worst: `RESULTS/report/train_worst.png`, which `snakemake plot_train_gallery` draws.",
    ),
)


def check_confident(
    class_names: Sequence[str], images: Sequence[Counted], metrics: Mapping[str, Any]
) -> list[Verdict]:
    """Check confident regions.

    Args:
        class_names: without background, in the order of the mask values.
        images: all of train, with the values of their confident labels.
        metrics: content of `scores/confident.json`.
    """
    foreground, background = foreground_share(images), background_share(images)
    verdicts = [
        _none(class_names, images),
        FOREGROUND.judge(f"{percent(foreground)} of all pixels", alarm=not SCARCE <= foreground <= FULL),
        BACKGROUND.judge(f"{percent(background)} of all pixels", alarm=background < SCARCE),
    ]
    right = known(metrics.get("foreground_precision")) if metrics["scored_images"] else None
    if right is not None:
        verdicts.append(
            DOUBT.judge(f"{percent(right)} is right", alarm=right < WRONG, warning=right < DOUBTFUL)
        )
    return verdicts


def _none(class_names: Sequence[str], images: Sequence[Counted]) -> Verdict:
    counts = found_by_class(class_names, images, CELL)
    shares = {name: shown / count for name, (shown, count) in counts.items() if count}
    scarce = sorted((share, name) for name, share in shares.items() if share < SHOWN)
    least = min(shares.values(), default=1.0)
    figure = listed(f"{name} in {percent(share)} of its images" for share, name in scarce)
    return NONE.judge(
        figure or f"each class in at least {percent(least)} of its images",
        alarm=least == 0,
        warning=bool(scarce),
    )
