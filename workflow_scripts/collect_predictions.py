"""What all new photographs show, in one table."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.stages.job import Job, run
from wsss.stages.predict import collect
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Collect the tables of the shards."""
    job.wrote(collect(Path(job.output.table), [Path(shard) for shard in job.input.shards]))


if "snakemake" in globals():
    run(main, snakemake)
