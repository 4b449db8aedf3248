"""Masks of one shard of images by the segmentation network."""

from typing import TYPE_CHECKING

from wsss.artifacts import write_masks
from wsss.checkpoints import restore_segmenter
from wsss.datasets import Manifest
from wsss.inference import segment
from wsss.loading import Compute
from wsss.runtime import Stage, progress

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = Compute.of(stage)
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
