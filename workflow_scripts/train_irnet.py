"""IRNet, from images and their confident regions."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, pooling_of, read_masks
from wsss.stages.irnet import train_irnet
from wsss.stages.job import Job, run
from wsss.stages.training.run import Run
from wsss.study.follow import settled_section
from wsss.study.params import TrainIRNet

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[TrainIRNet]) -> None:
    """Train IRNet; one that is loaded finished needs no confident regions."""
    images = Manifest.read(job.input.images)
    section = job.settle("irnet", settled_section(job.params.irnet, images.sizes))
    classifier = Path(job.input.classifier) if section.weights == "classifier" else None
    training = Run.of(job, images.class_names)
    with open_shards(job.input.labels, read_masks) as labels:
        pooled = bool(labels) and pooling_of(labels) == "scores"
        train_irnet(images.rows, labels, section, training, classifier=classifier, pooled=pooled)


if "snakemake" in globals():
    run(main, snakemake)
