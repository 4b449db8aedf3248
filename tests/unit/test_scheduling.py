"""When Snakemake looks for the next jobs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from wsss.planning.scheduling import look_when_jobs_end


def limited(limit: str | None, *, local: bool = True) -> bool:
    """Whether a limit of the command line is in force after all."""
    given = None if limit is None else MaxJobsPerTimespan.parse_choice(limit)
    workflow: Any = SimpleNamespace(
        scheduling_settings=SchedulingSettings(max_jobs_per_timespan=given),
        scheduler=SimpleNamespace(job_rate_limiter=given),
        local_exec=local,
    )
    look_when_jobs_end(workflow)
    return workflow.scheduler.job_rate_limiter is not None


def test_the_usual_limit_is_lifted_on_this_machine() -> None:
    assert not limited("100/1s")
    assert not limited(None)


@pytest.mark.parametrize(("limit", "local"), [("100/1s", False), ("5/1s", True), ("100/1m", True)])
def test_a_cluster_and_the_command_line_keep_theirs(limit: str, local: bool) -> None:
    assert limited(limit, local=local)
