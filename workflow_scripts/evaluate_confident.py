"""Scores of the confident regions of train."""

from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_masks, write_json
from wsss.datasets import Manifest
from wsss.evaluation import Truth, score_confident
from wsss.runtime import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake), open_shards(snakemake.input.labels, read_masks) as labels:
    truth = Truth(Manifest.read(snakemake.input.images), "train")
    write_json(snakemake.output.metrics, score_confident(truth, labels))
