"""Scores of the pseudo masks of train."""

from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_pseudo_masks, write_json
from wsss.datasets import Manifest
from wsss.evaluation import Truth, score_masks
from wsss.runtime import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake), open_shards(snakemake.input.masks, read_pseudo_masks) as masks:
    truth = Truth(Manifest.read(snakemake.input.images), "train")
    write_json(snakemake.output.metrics, score_masks(truth, lambda image_id: masks[image_id].mask))
