"""Masks of one shard of images by the segmentation network."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.checkpoints import restore_segmenter
from wsss.results import write_masks
from wsss.runtime import progress
from wsss.stages.job import Stage
from wsss.stages.segmentation import segment

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = stage.compute
    model = compute.place(restore_segmenter(snakemake.input.checkpoint))
    masks = segment(
        model,
        images.rows,
        scales=stage.config["segmentation"]["scales"],
        flip=stage.config["segmentation"]["flip"],
        compute=compute,
        dense_crf=stage.config.get("dense_crf"),
    )
    write_masks(snakemake.output.masks, progress(masks, len(images)))
