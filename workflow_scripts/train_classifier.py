"""The classifier, from images and image-level labels."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.stages.classifier import train_classifier
from wsss.stages.job import Stage
from wsss.stages.training.run import Run
from wsss.study.config import Classifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    run = Run.of(stage, images.classes)
    train_classifier(images.rows, Classifier(**stage.config["classifier"]), run)
