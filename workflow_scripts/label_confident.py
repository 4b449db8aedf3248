"""Confident regions of one shard of CAMs."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_cams, write_confident
from wsss.runtime.console import progress
from wsss.stages.confident import label_images
from wsss.stages.job import Job, run
from wsss.study.params import LabelConfident

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[LabelConfident]) -> None:
    """Label background, classes and undecided pixels."""
    images, params = Manifest.read(job.input.images), job.params
    with read_cams(job.input.cams) as cams:
        labels = label_images(
            images.rows, cams, params.confident, params.dense_crf, device=job.device, threads=job.threads
        )
        pooling = params.confident.pooling
        write_confident(job.output.labels, progress(labels, len(images)), pooling=pooling)


if "snakemake" in globals():
    run(main, snakemake)
