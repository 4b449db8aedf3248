"""All points of the sweep, best first, and the overlay of the best."""

from statistics import median
from typing import TYPE_CHECKING

from wsss.results import read_json, write_json, write_table, write_text
from wsss.stages.job import Job, run
from wsss.stages.sweep.ranking import gather, overlay, rank, table
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Add up the counts, rank the points, and write the overlay of the best."""
    counts = [read_json(file) for file in job.input.counts]
    ranking = rank(*gather(counts), median(shard["usual_steps"] for shard in counts))
    write_json(job.output.points, ranking)
    write_table(job.output.table, table(ranking))
    write_text(job.output.best, overlay(ranking))


if "snakemake" in globals():
    run(main, snakemake)
