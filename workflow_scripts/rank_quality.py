"""All pseudo masks of train, the least trustworthy first, and what the signals say of each class."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import read_signals, write_ranking, write_table
from wsss.stages.job import Job, run
from wsss.stages.quality.ranking import rank_images, summarize_classes
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Gather the shards and rank."""
    images = Manifest.read(job.input.images)
    ranking = rank_images((found for path in job.input.signals for found in read_signals(path)), images)
    write_ranking(job.output.images, ranking)
    write_table(job.output.classes, summarize_classes(ranking, images.class_names))


if "snakemake" in globals():
    run(main, snakemake)
