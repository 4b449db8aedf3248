"""Affinities of one shard of images."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import write_affinities
from wsss.runtime.console import progress
from wsss.stages.affinities import compute_affinities
from wsss.stages.job import Job, run
from wsss.study.params import ComputeAffinities

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ComputeAffinities]) -> None:
    """Compute affinities with AffinityNet or IRNet, or from boundary maps of another system."""
    images = Manifest.read(job.input.images)
    grid, items = compute_affinities(job, images)
    write_affinities(job.output.affinities, progress(items, len(images)), grid)


if "snakemake" in globals():
    run(main, snakemake)
