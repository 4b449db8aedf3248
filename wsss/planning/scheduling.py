"""When Snakemake looks for the next jobs: where they run on this machine, when one has ended."""

from __future__ import annotations

from typing import Any, Protocol

USUAL = (100, 1)
"""Jobs, and seconds: Snakemake's own limit, where the command line gives none."""


class Workflow(Protocol):
    """The part of Snakemake's `workflow` that says how jobs are scheduled."""

    scheduling_settings: Any
    scheduler: Any
    local_exec: bool


def look_when_jobs_end(workflow: Workflow) -> None:
    """Lift the usual limit of jobs per second where they run on this machine.

    With a limit, Snakemake looks every second at each job that waits for a core, and at the size of all its
    files, and once more per second for each job that has ended since: with thousands of true masks that took
    most of a core. Here the cores are limit enough. A limit on the command line and that of a cluster stay.

    Args:
        workflow: Snakemake's, about to start: its scheduler is there, and has looked at no job yet.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if workflow.local_exec and limit is not None and (limit.max_jobs, limit.timespan) == USUAL:
        workflow.scheduler.job_rate_limiter = None
