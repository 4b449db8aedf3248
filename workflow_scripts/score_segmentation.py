"""Scores of the segmentation network on val."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks, write_json
from wsss.stages.job import Stage
from wsss.stages.scores import Truth, score_masks

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake), open_shards(snakemake.input.masks, read_masks) as masks:
    truth = Truth(Manifest.read(snakemake.input.images), "val")
    write_json(snakemake.output.metrics, score_masks(truth, masks.__getitem__))
