"""What stands first: the main figures of a study, and what each stage has added to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from wsss.report.figures.scores import SEGMENTATION, Metrics, Scored, scored_stages
from wsss.report.summary import percent, points


class Tile(NamedTuple):
    """A main figure.

    Attributes:
        title: what it is of.
        value: in percent.
        gain: in points over the tile before, if both are of the same images.
        detail: how it was counted.
        colour: of the stage, or nothing.
    """

    title: str
    value: str
    gain: str
    detail: str
    colour: str = ""


def tiles(metrics: Mapping[str, Metrics]) -> list[Tile]:
    """The main figures in the order of the road, as far as they exist.

    Args:
        metrics: by artifact, the content of `scores/<artifact>.json`.
    """
    return [*_classifier(metrics.get("classifier")), *_scores(scored_on_the_road(metrics))]


def scored_on_the_road(metrics: Mapping[str, Metrics]) -> list[Scored]:
    """What was scored on at least one image, from the CAMs to the segmentation network on train and val."""
    unscored: Metrics = {"scored_images": 0}
    known = {name: metrics.get(name, unscored) for name in ("cams", "random_walk", "segmentation")}
    stages = scored_stages(known)
    on_train = known["segmentation"].get("train") or unscored
    if on_train["scored_images"]:
        last = len(stages) - bool(known["segmentation"]["scored_images"])
        stages.insert(last, Scored(*SEGMENTATION, on_train))
    return stages


def _classifier(metrics: Metrics | None) -> Iterator[Tile]:
    if metrics and metrics["map"] is not None:
        detail = f"mAP on {metrics['scored_images']:,} images of {metrics['split']}"
        yield Tile("classifier", percent(metrics["map"]), "", detail)


def _scores(stages: Sequence[Scored]) -> Iterator[Tile]:
    before: dict[str, Any] = {}
    for name, colour, metrics in stages:
        split, images, miou = metrics["split"], metrics["scored_images"], metrics["miou"]
        same = before and (split, images) == (before["split"], before["scored_images"])
        gain = points(miou - before["miou"]) if same else ""
        yield Tile(name, percent(miou), gain, f"mIoU on {images:,} images of {split}", colour)
        before = dict(metrics)
