"""The classifier, from images and image-level labels."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.stages.classifier import train_classifier
from wsss.stages.job import Job, run
from wsss.stages.training.run import Run
from wsss.study.follow import settled_section
from wsss.study.params import TrainClassifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[TrainClassifier]) -> None:
    """Train the classifier."""
    images = Manifest.read(job.input.images)
    section = job.settle("classifier", settled_section(job.params.classifier, images.sizes))
    train_classifier(images.rows, section, Run.of(job, images.class_names))


if "snakemake" in globals():
    run(main, snakemake)
