"""Scores of the pseudo masks of train, and of val where the study refines it too."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsss.data import Manifest
from wsss.results import open_shards, read_pseudo_masks, write_json
from wsss.stages.job import Stage
from wsss.stages.scores import Truth, score_masks

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def scores_of(split: str, shards: Iterable[Path]) -> dict[str, Any]:
    """Score the pseudo masks of a split."""
    with open_shards(shards, read_pseudo_masks) as masks:
        truth = Truth(Manifest.read(snakemake.input.images), split)
        return score_masks(truth, lambda image_id: masks[image_id].mask)


with Stage(snakemake):
    scores = scores_of("train", snakemake.input.masks)
    if val_masks := snakemake.input.get("val_masks"):
        scores["val"] = scores_of("val", val_masks)
    write_json(snakemake.output.metrics, scores)
