"""Masks of one shard of images by the segmentation network."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.segmenter import restore_segmenter
from wsss.results import write_masks
from wsss.runtime.console import progress
from wsss.stages.job import Job, run
from wsss.stages.segmentation import segment
from wsss.study.params import ComputeSegmentation

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ComputeSegmentation]) -> None:
    """Segment images, without their labels."""
    images, params = Manifest.read(job.input.images), job.params
    compute = job.compute
    network = compute.place(restore_segmenter(job.input.checkpoint).network)
    masks = segment(network, images.rows, params.segmentation, compute, params.dense_crf)
    write_masks(job.output.masks, progress(masks, len(images)))


if "snakemake" in globals():
    run(main, snakemake)
