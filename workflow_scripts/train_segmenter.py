"""The segmentation network, from images and their pseudo masks."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_pseudo_masks
from wsss.stages.job import Stage
from wsss.stages.segmenter import train_segmenter
from wsss.stages.training.run import Run
from wsss.study.config import Segmenter

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    run = Run.of(stage, images.classes)
    config = Segmenter(**stage.config["segmenter"])
    classifier = Path(snakemake.input.classifier) if config.weights == "classifier" else None
    with open_shards(snakemake.input.masks, read_pseudo_masks) as masks:
        train_segmenter(images.rows, masks, config, run, classifier=classifier)
