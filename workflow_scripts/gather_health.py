"""The alarms and warnings of a study."""

from typing import TYPE_CHECKING

from wsss.results import read_json, write_json
from wsss.stages.health import gathered
from wsss.stages.job import Job, run
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Put the parts together, alarms first."""
    write_json(job.output.health, gathered([read_json(path) for path in job.input]))


if "snakemake" in globals():
    run(main, snakemake)
