"""The alarms and warnings of a study."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.results import read_json, write_json
from wsss.stages.health import gathered
from wsss.stages.job import Job, run
from wsss.study.invocation import Invocation
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Put the parts together, alarms first."""
    health, invocation = Path(job.output.health), Invocation.of_environment() or Invocation()
    write_json(health, gathered([read_json(path) for path in job.input], invocation, health.parent))


if "snakemake" in globals():
    run(main, snakemake)
