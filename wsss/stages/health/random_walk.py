"""Whether the pseudo masks are worth training on: by what they hold, and by true masks if there are any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsss.method.labels import BACKGROUND_NAME
from wsss.stages.health.alarms import Alarm, Verdict, known, listed, percent, points
from wsss.stages.health.counting import (
    Counted,
    foreground_share,
    found_by_class,
    full_of_one_class,
    raggedness,
    without_background,
)

SCARCE, FULL = 0.01, 0.9
"""Foreground, as a share of all pixels. The default study has 32 %."""

FADED, GONE = 0.1, 0.25
"""Labels that win no pixel of their image, of all. The default study has 0.3 %."""

MOSTLY, JUDGED = 0.5, 3
"""A class vanishes if it wins no pixel in so many of its images, of which there must be a few."""

SOME, MANY = 0.05, 0.2
"""Images that are one class all over. The default study has none, close-ups are rare in others."""

BARE, ALL_BARE = 0.25, 0.5
"""Images without background. Classes such as grass and sky fill images truly, but hardly every second one."""

BEHIND = 0.05
"""mIoU by which pseudo masks may stay behind CAM + dCRF before the walk itself must be wrong."""

LOST, HAD = 0.03, 0.1
"""IoU of a class in pseudo masks that is lost, and in the CAMs that it was lost from."""

RAGGED, SPECKLED = 5.0, 8.0
"""Median length of the outlines, by that of a square of the same area. The default study has 1.5; true masks
of voc-animals have 2.5, a twentieth of them above 4.5; specks of 8 pixels in images of 256 have 11."""

_SWEEP = (
    "`snakemake sweep` tries other values of the walk on the same CAMs and affinities, without any network,"
    " and says how to run with the best."
)

FOREGROUND = Alarm(
    name="walk-foreground",
    stage="random_walk",
    title="pseudo masks nearly empty, or nearly full",
    fires=f"alarm: foreground is less than {percent(SCARCE)} or more than {percent(FULL)} of all pixels",
    meaning="The segmentation network learns to answer the same everywhere.",
    help=(
        _SWEEP,
        "Too little: raise `random_walk.background.alpha` (kind power), or lower "
        "`random_walk.background.score` (kind constant). Too much: the other way.",
    ),
)

VANISH = Alarm(
    name="labels-vanish",
    stage="random_walk",
    title="labels that vanish",
    fires=f"alarm: more than {percent(GONE)} of the image-level labels win no pixel of their image, or a "
    f"class in more than {percent(MOSTLY)} of its images; warning: more than {percent(FADED)} of all",
    meaning="The segmentation network learns that these objects are background, or another class.",
    help=(
        _SWEEP,
        "Lower `random_walk.t`: a long walk mixes the classes of an image.",
        "Small objects: `random_walk.refine: none`, or a shorter distance in `dense_crf.bilateral`.",
    ),
)

FORGETS = Alarm(
    name="walk-forgets",
    stage="random_walk",
    title="a walk that forgets",
    fires=f"alarm: more than {percent(MANY)} of the images are one class all over; warning: {percent(SOME)}",
    meaning="After too many steps a walk no longer knows where it began, and the class that is strongest on"
    " average takes the whole image.",
    help=(
        _SWEEP,
        "Lower `random_walk.t`, or raise `random_walk.beta`: the walk stops at fainter borders.",
    ),
)

NO_BACKGROUND = Alarm(
    name="no-background",
    stage="random_walk",
    title="images without background",
    fires=f"alarm: more than {percent(ALL_BARE)} of the images have no background; warning: {percent(BARE)}",
    meaning="Unless classes such as sky and grass fill these images truly, their masks are too large.",
    help=(
        _SWEEP,
        "Lower `random_walk.background.alpha` (kind power), or raise "
        "`random_walk.background.score` (kind constant).",
    ),
)

BELOW_CAMS = Alarm(
    name="below-cams",
    stage="random_walk",
    title="pseudo masks below the CAMs",
    fires="with true masks; alarm: mIoU of the pseudo masks below that of the CAMs at their best background",
    meaning="The walk makes the CAMs worse: it spreads them over borders, or its background is wrong.",
    help=(
        _SWEEP,
        "Lower `random_walk.t`, or raise `random_walk.beta`.",
    ),
)

BELOW_DENSE_CRF = Alarm(
    name="below-dense-crf",
    stage="random_walk",
    title="pseudo masks below CAM + dCRF",
    fires=f"with true masks; alarm: mIoU of the pseudo masks more than {points(BEHIND)} points below that "
    "of the CAMs after the dense CRF; warning: below",
    meaning="The dense CRF alone is better than the affinities and the walk.",
    help=(
        _SWEEP,
        "Train the network of the affinities longer, `affinitynet.epochs` or `irnet.epochs`, or on a finer "
        "grid, `input_scale`.",
    ),
)

LOST_CLASSES = Alarm(
    name="classes-lost",
    stage="random_walk",
    title="classes that the walk loses",
    fires=f"with true masks; alarm: a class has IoU below {points(LOST)}, and in the CAMs above "
    f"{points(HAD)}",
    meaning="The CAMs find the class, its pseudo masks do not: the segmentation network never learns it.",
    help=(
        _SWEEP,
        "Lower `random_walk.t`: a long walk gives small objects to their neighbours.",
    ),
)

SPECKS = Alarm(
    name="walk-specks",
    stage="random_walk",
    title="pseudo masks of specks",
    fires=f"alarm: the outlines in the median image are {SPECKLED:g} times as long as that of a square of "
    f"its foreground; warning: {RAGGED:g} times",
    meaning="Objects are in one piece or a few. Specks follow noise, of the CAMs or of the photograph.",
    help=(
        "Look at the worst: `RESULTS/report/train_worst.png`, which `snakemake plot_train_gallery` draws.",
        "`random_walk.refine: dense_crf` with more weight for smoothness, the second number of "
        "`dense_crf.gaussian`.",
        "If the CAMs are specks too: see the classifier, `classifier.epochs` and `classifier.weights`.",
    ),
)


def check_pseudo_masks(
    class_names: Sequence[str],
    images: Sequence[Counted],
    pseudo_masks: Mapping[str, Any],
    cams: Mapping[str, Any],
) -> list[Verdict]:
    """Check pseudo masks.

    Args:
        class_names: without background, in the order of the mask values.
        images: all of train, with the values of their pseudo masks.
        pseudo_masks, cams: content of `scores/random_walk.json` and `scores/cams.json`.
    """
    labelled = [image for image in images if image.labels]
    foreground = foreground_share(images)
    verdicts = [
        FOREGROUND.judge(f"{percent(foreground)} of all pixels", alarm=not SCARCE <= foreground <= FULL)
    ]
    if labelled:
        verdicts += [_vanish(class_names, labelled), *_filled(labelled), ragged(SPECKS, labelled)]
    if pseudo_masks["scored_images"] and cams["scored_images"]:
        verdicts += _compared(pseudo_masks, cams)
    return verdicts


def ragged(alarm: Alarm, images: Sequence[Counted]) -> Verdict:
    """Judge the outlines of masks."""
    times = raggedness(images)
    figure = f"outlines {times:.1f} times as long as a square's" if times == times else "no foreground"
    return alarm.judge(figure, alarm=times > SPECKLED, warning=times > RAGGED)


def _vanish(class_names: Sequence[str], images: Sequence[Counted]) -> Verdict:
    counts = found_by_class(class_names, images)
    labels = sum(count for _, count in counts.values())
    lost = sum(count - shown for shown, count in counts.values()) / labels
    gone = {
        name: 1 - shown / count
        for name, (shown, count) in counts.items()
        if count >= JUDGED and 1 - shown / count > MOSTLY
    }
    classes = listed(f"{name} in {percent(share)} of its images" for name, share in gone.items())
    figure = f"{percent(lost)} of {labels} labels" + (f"; {classes}" if gone else "")
    return VANISH.judge(figure, alarm=lost > GONE or bool(gone), warning=lost > FADED)


def _filled(images: Sequence[Counted]) -> list[Verdict]:
    one_class, bare = full_of_one_class(images), without_background(images)
    return [
        FORGETS.judge(
            f"{percent(one_class)} of the images", alarm=one_class > MANY, warning=one_class > SOME
        ),
        NO_BACKGROUND.judge(f"{percent(bare)} of the images", alarm=bare > ALL_BARE, warning=bare > BARE),
    ]


def _compared(pseudo_masks: Mapping[str, Any], cams: Mapping[str, Any]) -> list[Verdict]:
    found_, had = pseudo_masks["miou"], cams["miou"]
    verdicts = [BELOW_CAMS.judge(f"mIoU {points(found_)}, the CAMs {points(had)}", alarm=found_ < had)]
    if "dense_crf" in cams:
        refined = cams["dense_crf"]["miou"]
        figure = f"mIoU {points(found_)}, CAM + dCRF {points(refined)}"
        verdicts.append(
            BELOW_DENSE_CRF.judge(figure, alarm=found_ < refined - BEHIND, warning=found_ < refined)
        )
    return [*verdicts, _lost(pseudo_masks, cams)]


def _lost(pseudo_masks: Mapping[str, Any], cams: Mapping[str, Any]) -> Verdict:
    iou = {
        name: (known(pseudo_masks["iou"][name]), known(cams["iou"][name]))
        for name in pseudo_masks["value_names"]
        if name != BACKGROUND_NAME
    }
    both = {
        name: (now, before) for name, (now, before) in iou.items() if now is not None and before is not None
    }
    lost = [name for name, (now, before) in both.items() if now < LOST and before >= HAD]
    least = min(both, key=lambda name: both[name][0], default=None)
    figure = listed(f"{name} {points(both[name][0])}, the CAMs {points(both[name][1])}" for name in lost)
    if lost:
        figure = f"{len(lost)} of {len(both)} classes: {figure}"
    return LOST_CLASSES.judge(
        figure or (f"the least IoU {points(both[least][0])}, {least}" if least else "no class"),
        alarm=bool(lost),
    )
