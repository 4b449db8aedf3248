"""When Snakemake looks for the next jobs: where they run on this machine, when one has ended."""

from __future__ import annotations

from typing import Any, Protocol

USUAL = (100, 1)
"""Jobs, and seconds: Snakemake's own limit, where the command line gives none."""


class Workflow(Protocol):
    """The part of Snakemake's `workflow` that says how jobs are scheduled: None where none will be."""

    scheduling_settings: Any
    local_exec: bool


def look_when_jobs_end(workflow: Workflow) -> None:
    """Lift the usual limit of jobs per second where they run on this machine.

    With a limit, Snakemake looks every second at each job that waits for a core, and at the size of all its
    files, and once more per second for each job that has ended since: with thousands of true masks that took
    most of a core. Here the cores are limit enough. A limit on the command line and that of a cluster stay.

    Args:
        workflow: Snakemake's, before its jobs are scheduled.
    """
    settings = workflow.scheduling_settings
    limit = getattr(settings, "max_jobs_per_timespan", None)
    if settings is None or limit is None or not workflow.local_exec:
        return
    if (limit.max_jobs, limit.timespan) == USUAL:
        settings.max_jobs_per_timespan = None
