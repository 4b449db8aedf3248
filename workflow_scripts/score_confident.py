"""Scores of the confident regions of train."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks, write_confusions, write_json
from wsss.stages.job import Job, run
from wsss.stages.scores.masks import score_confident
from wsss.stages.scores.truth import Truth
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Measure how much the confident regions cover, and how much of that is right."""
    truth = Truth(Manifest.read(job.input.images), "train")
    with open_shards(job.input.labels, read_masks) as labels:
        scored = score_confident(truth, labels)
    write_json(job.output.metrics, scored.metrics)
    write_confusions(job.output.table, scored.images)


if "snakemake" in globals():
    run(main, snakemake)
