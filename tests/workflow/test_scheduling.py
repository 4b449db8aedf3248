"""How often Snakemake looks for the next jobs: when one has ended, and not every second besides."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow


def test_snakemake_looks_once_for_each_job_that_ends(workflow) -> None:
    """With its limit of jobs per second it looked 240 times where 30 jobs ended."""
    workflow.configure(random_walk={"t": 7})
    said = workflow.snakemake("masks", "--verbose")
    ended = len(re.findall(r"^Finished jobid", said, re.M))
    looks = len(re.findall(r"^Ready jobs: \d", said, re.M))
    assert ended > 3
    assert 0 < looks <= ended + 1
