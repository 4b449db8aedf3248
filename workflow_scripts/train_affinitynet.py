"""AffinityNet, from images and their confident regions."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks
from wsss.stages.affinitynet import train_affinitynet
from wsss.stages.job import Stage
from wsss.stages.training.run import Run
from wsss.study.config import AffinityNet

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
