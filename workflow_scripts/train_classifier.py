"""The classifier, from images and image-level labels."""

from typing import TYPE_CHECKING

from wsss.config import Classifier
from wsss.datasets import Manifest
from wsss.runtime import Stage
from wsss.training import Run, train_classifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    run = Run.of(stage, images.classes)
    train_classifier(images.rows, Classifier(**stage.config["classifier"]), run)
