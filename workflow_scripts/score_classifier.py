"""Scores of the classifier on val."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.classifier import restore_classifier
from wsss.results import write_classified, write_json
from wsss.stages.job import Job, run
from wsss.stages.scores.classifier import score_classifier
from wsss.study.params import ScoreClassifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ScoreClassifier]) -> None:
    """Score the classifier by the image-level labels."""
    images, compute = Manifest.read(job.input.images), job.compute
    network = compute.place(restore_classifier(job.input.checkpoint).network)
    scored = score_classifier(network, images, compute)
    write_json(job.output.metrics, scored.metrics)
    write_classified(job.output.table, scored.images)


if "snakemake" in globals():
    run(main, snakemake)
