"""AffinityNet, from images and their confident regions."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_masks
from wsss.config import AffinityNet
from wsss.datasets import Manifest
from wsss.runtime import Stage
from wsss.training import Run, train_affinitynet

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    run = Run.of(stage, images.classes)
    config = AffinityNet(**stage.config["affinitynet"])
    classifier = Path(snakemake.input.classifier) if config.weights == "classifier" else None
    with open_shards(snakemake.input.labels, read_masks) as labels:
        pooled = stage.config["confident"]["pooling"] == "scores"
        train_affinitynet(images.rows, labels, config, run, classifier=classifier, pooled=pooled)
