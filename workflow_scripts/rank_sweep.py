"""All points of the sweep, best first."""

from statistics import median
from typing import TYPE_CHECKING

from wsss.results import read_json, write_json, write_table
from wsss.stages.job import Job, run
from wsss.stages.sweep.ranking import gather, rank, table
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Add up the counts, and rank the points."""
    counts = [read_json(file) for file in job.input.counts]
    ranking = rank(*gather(counts), median(shard["usual_steps"] for shard in counts))
    write_json(job.output.points, ranking)
    write_table(job.output.table, table(ranking))


if "snakemake" in globals():
    run(main, snakemake)
