"""The values of the random walk that say `auto`: the best of the sweep, widened and finished."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_json, write_json, write_text
from wsss.stages.job import Job, run
from wsss.stages.sweep.choosing import choose
from wsss.stages.sweep.chosen import chosen_text
from wsss.stages.sweep.finish import open_results
from wsss.study.params import ChooseRandomWalk

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ChooseRandomWalk]) -> None:
    """Choose, and say why."""
    manifest, points = Manifest.read(job.input.manifest), read_json(job.input.points)
    given = job.input
    with open_results(given.images, given.cams, given.affinities, given.labels) as shards:
        chosen = choose(points, manifest, shards, job.params, job.threads)
    write_json(job.output.reasons, chosen)
    write_text(job.output.chosen, chosen_text(chosen["section"]))


if "snakemake" in globals():
    run(main, snakemake)
