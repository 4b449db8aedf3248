"""When Snakemake looks for the next jobs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from wsss.planning.scheduling import look_when_jobs_end


def limited(limit: str | None, *, local: bool = True) -> Any:
    given = None if limit is None else MaxJobsPerTimespan.parse_choice(limit)
    workflow: Any = SimpleNamespace(scheduling_settings=SchedulingSettings(max_jobs_per_timespan=given))
    workflow.local_exec = local
    look_when_jobs_end(workflow)
    return workflow.scheduling_settings.max_jobs_per_timespan


def test_the_usual_limit_is_lifted_on_this_machine() -> None:
    assert limited("100/1s") is None
    assert limited(None) is None


@pytest.mark.parametrize(("limit", "local"), [("100/1s", False), ("5/1s", True), ("100/1m", True)])
def test_a_cluster_and_the_command_line_keep_theirs(limit: str, local: bool) -> None:
    found = limited(limit, local=local)
    assert (found.max_jobs, found.timespan) == (int(limit.split("/")[0]), 60 if "m" in limit else 1)


def test_without_scheduling_there_is_no_limit() -> None:
    workflow: Any = SimpleNamespace(scheduling_settings=None, local_exec=True)
    look_when_jobs_end(workflow)
    assert workflow.scheduling_settings is None
