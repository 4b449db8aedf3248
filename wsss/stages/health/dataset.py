"""Whether there are labels to learn from: before any network runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from wsss.data import ImageRow, Manifest
from wsss.stages.health.alarms import Alarm, Verdict, listed, percent

NEED, WANT = 5, 20
"""Training images of a class. Below 5 even pretrained networks learn the images by heart; the studies of this
project have 170 and more, and 20 is where classifiers on frozen ImageNet features begin to generalise."""

TWINS, ALIKE = 0.95, 0.8
"""Images with both of two classes, of those with either. At 0.95 hardly an image tells the two apart."""

EVERYWHERE, NEARLY_EVERYWHERE = 0.95, 0.8
"""Images with a class, of all. A classifier that always says yes is right on these."""

FEW = Alarm(
    name="few-images",
    stage="dataset",
    title="classes with few images",
    fires=f"alarm: fewer than {NEED} training images of a class; warning: fewer than {WANT}",
    meaning="A network tells an object from its surroundings by seeing it in different ones. With a few "
    "images it learns these images by heart, and no later stage can repair that.",
    help=(
        "Add images of these classes, or leave the classes out.",
        "Start from a network that knows photographs: `classifier.weights: imagenet`, with a backbone that "
        "has such weights.",
    ),
)

TOGETHER = Alarm(
    name="always-together",
    stage="dataset",
    title="classes that always come together",
    fires=f"alarm: {percent(TWINS)} of the images with either of two classes have both; warning: "
    f"{percent(ALIKE)}",
    meaning="Nothing in the labels tells these classes apart: the CAM of one may lie on the other.",
    help=("Add images that show one without the other, or make them one class.",),
)

NO_COUNTEREXAMPLES = Alarm(
    name="no-counterexamples",
    stage="dataset",
    title="classes that nearly all images show",
    fires=f"alarm: {percent(EVERYWHERE)} of the training images have the class; warning: "
    f"{percent(NEARLY_EVERYWHERE)}",
    meaning="A classifier that always says yes is right nearly always, so it need not look at the object, "
    "and its CAM is of anything that photographs have in common.",
    help=("Add images that do not show the class, with other labels or none.",),
)

NOT_HELD_OUT = Alarm(
    name="not-held-out",
    stage="dataset",
    title="classes without an image in val",
    fires="warning: a class of train has no image in val",
    meaning="Neither the classifier nor the segmentation network is judged on these classes.",
    help=("Hold out more images: `dataset.holdout`, or name them in `dataset.splits`.",),
)


def check_dataset(train: Manifest, val: Manifest) -> list[Verdict]:
    """Check the labels of train, and that val can judge what is learned from them."""
    names = train.class_names
    shown = [_images_with(train.rows, index) for index in range(len(names))]
    counts = dict(zip(names, map(len, shown), strict=True))
    return [
        _few(counts),
        _together(dict(zip(names, shown, strict=True))),
        _everywhere(counts, len(train)),
        _not_held_out(counts, {name: len(_images_with(val.rows, index)) for index, name in enumerate(names)}),
    ]


def _images_with(rows: Sequence[ImageRow], index: int) -> set[str]:
    return {row.id for row in rows if index in row.labels}


def _few(counts: dict[str, int]) -> Verdict:
    rare = sorted((count, name) for name, count in counts.items() if count < WANT)
    fewest = min((count, name) for name, count in counts.items())
    figure = listed(f"{name} {count}" for count, name in rare) or f"at least {fewest[0]} each, {fewest[1]}"
    return FEW.judge(f"training images: {figure}", alarm=fewest[0] < NEED, warning=bool(rare))


def _together(shown: dict[str, set[str]]) -> Verdict:
    """Rare classes are left out: a few images that show both say little, and `FEW` speaks of them."""
    pairs = combinations([name for name, images in shown.items() if len(images) >= NEED], 2)
    overlap = {(a, b): len(shown[a] & shown[b]) / len(shown[a] | shown[b]) for a, b in pairs}
    twins = sorted(((share, pair) for pair, share in overlap.items() if share >= ALIKE), reverse=True)
    figure = listed(f"{a} and {b} {percent(share)}" for share, (a, b) in twins)
    most = max(overlap.values(), default=0.0)
    return TOGETHER.judge(figure or f"at most {percent(most)}", alarm=most >= TWINS, warning=bool(twins))


def _everywhere(counts: dict[str, int], images: int) -> Verdict:
    shares = {name: count / images for name, count in counts.items()}
    frequent = sorted(
        ((share, name) for name, share in shares.items() if share >= NEARLY_EVERYWHERE), reverse=True
    )
    figure = listed(f"{name} in {percent(share)} of the training images" for share, name in frequent)
    most = max(shares.values())
    return NO_COUNTEREXAMPLES.judge(
        figure or f"the most frequent in {percent(most)}", alarm=most >= EVERYWHERE, warning=bool(frequent)
    )


def _not_held_out(counts: dict[str, int], held_out: dict[str, int]) -> Verdict:
    missing = [name for name, count in counts.items() if count and not held_out[name]]
    fewest = min(held_out.values())
    return NOT_HELD_OUT.judge(listed(missing) or f"at least {fewest} each", warning=bool(missing))
