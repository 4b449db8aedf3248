"""What of a study was scored, and by which protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wsss.study.config import Cams, ClassifierCams, RandomWalk, Segmentation, SegmenterCams
from wsss.study.params import WriteTables

GIVEN_LABELS = "true image-level"
"""CAMs and pseudo masks are made for the classes that are in the image, on val too."""

NORMALIZED = {"none": "", "class": ", normalized by class", "image": ", normalized by image"}
"""What is said of the random walk, by `random_walk.normalize`."""


class Result(NamedTuple):
    """Scores of one stage on one split, and how they came about.

    Attributes:
        stage: as the paper calls it.
        split: "train" or "val".
        images: how many of the split were scored.
        miou: in [0, 1].
        iou: by class, background first, in [0, 1]; None for a class that appears nowhere.
        labels: what the stage was told about the images.
        background: how the score of the background came about.
        walk: powers and steps of the random walk.
        dense_crf: whether the dCRF came last.
        scales: at which the network saw the images.
    """

    stage: str
    split: str
    images: int
    miou: float
    iou: Mapping[str, float | None]
    labels: str
    background: str
    walk: str
    dense_crf: str
    scales: str

    @property
    def name(self) -> str:
        """Stage and split."""
        return f"{self.stage} {self.split}"

    @property
    def means(self) -> tuple[float | None, ...]:
        """IoU of each class, then their mean."""
        return (*self.iou.values(), self.miou)


def scored_results(metrics: Mapping[str, Any], params: WriteTables) -> tuple[Result, ...]:
    """List what was scored on at least one image, in the order of the road.

    Args:
        metrics: by artifact, with "cams", "random_walk" and "segmentation", see `wsss.stages.scores`.
        params: the study's sections `cams`, `random_walk` and `segmentation`.
    """
    cams, walked, segmented = metrics["cams"], metrics["random_walk"], metrics["segmentation"]
    found = [
        _cams("CAM", cams, params.cams, "no"),
        _cams("CAM + dCRF", cams.get("dense_crf"), params.cams, "yes"),
        _walked(walked, params),
        _walked(walked.get("val"), params),
        _segmentation(segmented.get("train"), params.segmentation),
        _segmentation(segmented, params.segmentation),
    ]
    return tuple(result for result in found if result)


def _cams(stage: str, metrics: Any, cams: Cams, dense_crf: str) -> Result | None:
    if not _is_scored(metrics):
        return None
    background = f"constant {metrics['constant']:.2f}, the best by these masks"
    return Result(stage, *_counts(metrics), GIVEN_LABELS, background, "no", dense_crf, _cam_scales(cams))


def _walked(metrics: Any, params: WriteTables) -> Result | None:
    if not _is_scored(metrics):
        return None
    walk = params.random_walk
    if walk.background.kind == "power":
        background = f"(1 − max CAM)^α, α = {walk.background.alpha:g}"
    else:
        background = f"constant {walk.background.score:g}"
    steps = f"β = {walk.beta:g}, t = {walk.t}{NORMALIZED[walk.normalize]}"
    scales, dense_crf = _cam_scales(params.cams), _yes_or_no(walk)
    return Result("random walk", *_counts(metrics), GIVEN_LABELS, background, steps, dense_crf, scales)


def _segmentation(metrics: Any, section: Segmentation) -> Result | None:
    if not _is_scored(metrics):
        return None
    own, dense_crf, scales = "the network's own class", _yes_or_no(section), _scales(section)
    return Result("segmentation", *_counts(metrics), "none", own, "no", dense_crf, scales)


def _is_scored(metrics: Mapping[str, Any] | None) -> bool:
    return bool(metrics and metrics["scored_images"])


def _counts(metrics: Mapping[str, Any]) -> tuple[str, int, float, dict[str, float | None]]:
    iou = {name: metrics["iou"][name] for name in metrics["value_names"]}
    return metrics["split"], metrics["scored_images"], metrics["miou"], iou


def _yes_or_no(section: RandomWalk | Segmentation) -> str:
    return "yes" if section.refine == "dense_crf" else "no"


def _cam_scales(cams: Cams) -> str:
    return f"those of its own system, {cams.format}" if cams.kind == "files" else _scales(cams)


def _scales(section: ClassifierCams | SegmenterCams | Segmentation) -> str:
    kind = "single" if len(section.scales) == 1 else "multi"
    scales = ", ".join(f"{scale:g}" for scale in sorted(section.scales))
    return f"{kind}: {scales}" + (", flipped" if section.flip else "")
