"""CAMs of one shard of images."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import write_cams
from wsss.runtime.console import progress
from wsss.stages.cams import compute_cams
from wsss.stages.job import Job, run
from wsss.study.params import ComputeCams

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ComputeCams]) -> None:
    """Compute CAMs, or read those of another system."""
    images = Manifest.read(job.input.images)
    write_cams(job.output.cams, progress(compute_cams(job, images), len(images)))


if "snakemake" in globals():
    run(main, snakemake)
