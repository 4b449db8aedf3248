"""Signals of the quality of one shard's pseudo masks; no true mask is read."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_affinities, read_cams, read_masks, write_signals
from wsss.runtime.console import progress
from wsss.stages.job import Job, run
from wsss.stages.quality.signals import Beside, measure_images
from wsss.stages.sweep.chosen import chosen_walk
from wsss.study.params import MeasureQuality

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[MeasureQuality]) -> None:
    """Compare pseudo masks with other ways to make them."""
    images = Manifest.read(job.input.images)
    walk = job.settle("random_walk", chosen_walk(job.params.random_walk, job.input.get("chosen")))
    with ExitStack() as stack:
        cams = stack.enter_context(read_cams(job.input.cams))
        affinities = stack.enter_context(read_affinities(job.input.affinities))
        masks, confident, predictions = (
            stack.enter_context(read_masks(path)) if (path := job.input.get(name)) else None
            for name in ("masks", "labels", "predictions")
        )
        assert masks is not None
        beside = Beside(confident, predictions)
        signals = measure_images(images.rows, cams, affinities, masks, walk, beside, job.threads)
        write_signals(job.output.signals, progress(signals, len(images)))


if "snakemake" in globals():
    run(main, snakemake)
