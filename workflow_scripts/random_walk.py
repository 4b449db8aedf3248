"""Pseudo masks of one shard: CAMs walked over affinities."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_affinities, read_cams, write_pseudo_masks
from wsss.runtime.console import progress
from wsss.stages.job import Job, run
from wsss.stages.random_walk import propagate_images
from wsss.stages.sweep.chosen import chosen_walk
from wsss.study.params import WalkCams

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[WalkCams]) -> None:
    """Propagate CAMs, and take the strongest class of each pixel."""
    images, params = Manifest.read(job.input.images), job.params
    with read_cams(job.input.cams) as cams, read_affinities(job.input.affinities) as affinities:
        walk = job.settle("random_walk", chosen_walk(params.random_walk, job.input.get("chosen")))
        masks = propagate_images(
            images.rows, cams, affinities, walk, params.dense_crf, device=job.device, threads=job.threads
        )
        write_pseudo_masks(job.output.masks, job.output.margins, progress(masks, len(images)))


if "snakemake" in globals():
    run(main, snakemake)
