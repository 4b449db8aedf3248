"""Features of a frozen backbone: computed once in a run, for affinities and later rounds, then gone."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.slow

AFFINITIES = "results/tiny/affinities/train/00.h5"
OF_ROUND = "results/tiny/rounds/2/affinities/train/00.h5"


def test_jobs_of_a_run_share_them_and_what_comes_later_is_the_same(workflow) -> None:
    def known(log: str) -> float:
        """The share of the images that had features when the job of a log began."""
        there, images = re.findall(
            r"features of (\d+) of (\d+) images", (workflow.results / log).read_text()
        )[-1]
        return int(there) / int(images)

    workflow.configure(
        affinitynet={"train_on": {"kind": "features"}},
        affinities={"flip": False},
        rounds={"count": 2},
    )
    workflow.snakemake(AFFINITIES, OF_ROUND)
    assert known("logs/train_affinitynet.log") == 0
    shard = "compute_affinities/train/00.log"
    later = (f"logs/{shard}", "rounds/2/logs/train_affinitynet.log", f"rounds/2/logs/{shard}")
    assert [known(log) for log in later] == [1, 1, 1]
    assert not (workflow.results / "features").exists()

    before = (workflow.folder / AFFINITIES).read_bytes()
    (workflow.folder / AFFINITIES).unlink()
    workflow.snakemake(AFFINITIES)
    assert known(f"logs/{shard}") == 0
    assert (workflow.folder / AFFINITIES).read_bytes() == before
