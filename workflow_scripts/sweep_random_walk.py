"""Counts of one shard at all points of one beta: CAMs and affinities as they are, no network."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_affinities, read_cams, read_masks, write_json
from wsss.stages.job import Job, run
from wsss.stages.sweep.points import Grid
from wsss.stages.sweep.shard import sweep_shard
from wsss.study.params import SweepRandomWalk

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[SweepRandomWalk]) -> None:
    """Count what the shard's masks would be."""
    manifest, shard = Manifest.read(job.input.manifest), Manifest.read(job.input.images)
    grid = Grid.of(job.params, float(job.wildcards.beta))
    with (
        read_cams(job.input.cams) as cams,
        read_affinities(job.input.affinities) as affinities,
        read_masks(job.input.labels) as labels,
    ):
        limit = job.params.images
        counted = sweep_shard(manifest, shard, cams, affinities, labels, grid, job.threads, limit)
    write_json(job.output.counts, counted)


if "snakemake" in globals():
    run(main, snakemake)
