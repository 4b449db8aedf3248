"""Scores of the confident regions of train."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks, write_json
from wsss.stages.job import Stage
from wsss.stages.scores import Truth, score_confident

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake), open_shards(snakemake.input.labels, read_masks) as labels:
    truth = Truth(Manifest.read(snakemake.input.images), "train")
    write_json(snakemake.output.metrics, score_confident(truth, labels))
