"""What of a study was scored, and by which protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

GIVEN_LABELS = "true image-level"
"""CAMs and pseudo masks are made for the classes that are in the image, on val too."""


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


def scored_results(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Result, ...]:
    """List what was scored on at least one image, in the order of the road.

    Args:
        metrics: by artifact, with "cams", "random_walk" and "segmentation", see `wsss.stages.scores`.
        config: the study's sections `cam`, `random_walk` and `segmentation`.
    """
    cams, walked = metrics["cams"], metrics["random_walk"]
    found = [
        _cams("CAM", cams, config["cam"], "no"),
        _cams("CAM + dCRF", cams.get("dense_crf"), config["cam"], "yes"),
        _walked(walked, config),
        _walked(walked.get("val"), config),
        _segmentation(metrics["segmentation"], config["segmentation"]),
    ]
    return tuple(result for result in found if result)


def _cams(stage: str, scores: Any, cam: Mapping[str, Any], dense_crf: str) -> Result | None:
    if not _is_scored(scores):
        return None
    background = f"constant {scores['constant']:.2f}, the best by these masks"
    return Result(stage, *_counts(scores), GIVEN_LABELS, background, "no", dense_crf, _scales(cam))


def _walked(scores: Any, config: Mapping[str, Any]) -> Result | None:
    if not _is_scored(scores):
        return None
    walk = config["random_walk"]
    power, constant = f"(1 − max CAM)^α, α = {walk['alpha']:g}", f"constant {walk['constant']:g}"
    background = power if walk["background"] == "power" else constant
    steps = f"β = {walk['beta']:g}, t = {walk['t']}" + (", normalized" if walk["normalize"] else "")
    scales, dense_crf = _scales(config["cam"]), _yes_or_no(walk)
    return Result("random walk", *_counts(scores), GIVEN_LABELS, background, steps, dense_crf, scales)


def _segmentation(scores: Any, section: Mapping[str, Any]) -> Result | None:
    if not _is_scored(scores):
        return None
    own = "the network's own class"
    return Result("segmentation", *_counts(scores), "none", own, "no", _yes_or_no(section), _scales(section))


def _is_scored(scores: Mapping[str, Any] | None) -> bool:
    return bool(scores and scores["scored_images"])


def _counts(scores: Mapping[str, Any]) -> tuple[str, int, float, dict[str, float | None]]:
    iou = {name: scores["iou"][name] for name in scores["classes"]}
    return scores["split"], scores["scored_images"], scores["miou"], iou


def _yes_or_no(section: Mapping[str, Any]) -> str:
    return "yes" if section["refine"] == "dense_crf" else "no"


def _scales(section: Mapping[str, Any]) -> str:
    if section.get("source", "classifier") != "classifier":
        return f"those of its own system, {section['source']}"
    scales: Iterable[float] = sorted(section["scales"])
    kind = "single" if len(section["scales"]) == 1 else "multi"
    return f"{kind}: {', '.join(f'{scale:g}' for scale in scales)}" + (", flipped" if section["flip"] else "")
