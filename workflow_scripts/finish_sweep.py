"""The first points of the sweep with the dense CRF, and the overlay of the best."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_json, write_json, write_text
from wsss.stages.job import Job, run
from wsss.stages.sweep.finalists import finish_sweep, overlay
from wsss.stages.sweep.finish import open_results
from wsss.study.params import FinishSweep

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[FinishSweep]) -> None:
    """Finish the first points, and write the overlay of the best."""
    manifest, points, given = Manifest.read(job.input.manifest), read_json(job.input.points), job.input
    with open_results(given.images, given.cams, given.affinities, given.labels) as shards:
        finished = finish_sweep(points, manifest, shards, job.params, job.threads)
    write_json(job.output.finished, finished)
    write_text(job.output.best, overlay(finished))


if "snakemake" in globals():
    run(main, snakemake)
