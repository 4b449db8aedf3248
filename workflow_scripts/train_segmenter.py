"""The segmentation network, from images and their pseudo masks."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_pseudo_masks
from wsss.config import Segmenter
from wsss.datasets import Manifest
from wsss.runtime import Stage
from wsss.training import Run, train_segmenter

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    run = Run.of(stage, images.classes)
    config = Segmenter(**stage.config["segmenter"])
    classifier = Path(snakemake.input.classifier) if config.weights == "classifier" else None
    with open_shards(snakemake.input.masks, read_pseudo_masks) as masks:
        train_segmenter(images.rows, masks, config, run, classifier=classifier)
