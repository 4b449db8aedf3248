"""The values of the random walk that say `auto`: the best of the sweep, widened and finished."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_affinities, read_cams, read_json, read_masks, write_json, write_text
from wsss.stages.job import Job, run
from wsss.stages.sweep.choosing import choose
from wsss.stages.sweep.chosen import chosen_text
from wsss.stages.sweep.finish import ShardResults
from wsss.study.params import ChooseRandomWalk

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ChooseRandomWalk]) -> None:
    """Choose, and say why."""
    manifest, points = Manifest.read(job.input.manifest), read_json(job.input.points)
    files = zip(job.input.images, job.input.cams, job.input.affinities, job.input.labels, strict=True)
    with ExitStack() as stack:
        shards = []
        for images, cams, affinities, labels in files:
            results = ShardResults(
                stack.enter_context(read_cams(cams)),
                stack.enter_context(read_affinities(affinities)),
                stack.enter_context(read_masks(labels)),
            )
            shards.append((Manifest.read(images), results))
        chosen = choose(points, manifest, shards, job.params, job.threads)
    write_json(job.output.reasons, chosen)
    write_text(job.output.chosen, chosen_text(chosen["section"]))


if "snakemake" in globals():
    run(main, snakemake)
