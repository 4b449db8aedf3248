"""The alarms and warnings of one part of the road."""

import logging
from typing import TYPE_CHECKING

from wsss.results import write_json
from wsss.stages.health import check, part_health
from wsss.stages.job import Job, run
from wsss.study.invocation import Invocation
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

logger = logging.getLogger(__name__)


def main(job: Job[Nothing]) -> None:
    """Check a part as soon as it is finished, and say what is wrong at once."""
    verdicts = check(job.wildcards.part, job.input)
    for verdict in verdicts:
        if verdict.severity:
            logger.warning("%s: %s: %s", verdict.severity.upper(), verdict.alarm.title, verdict.figure)
    write_json(job.output.health, part_health(verdicts, Invocation.of_environment() or Invocation()))


if "snakemake" in globals():
    run(main, snakemake)
