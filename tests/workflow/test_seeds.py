"""`wsss seeds`: a study for each seed, which share the data set, and their scores in one table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def seeds(folder: Path, *arguments: str, status: int = 0) -> str:
    """What the command prints for the study of a folder."""
    command = [sys.executable, "-m", "wsss", "seeds", "study.yaml", "--cores", "2", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def newest(folder: Path) -> int:
    """When the last result of all studies was written."""
    found = (path for path in folder.glob("results/tiny*/*/**/*") if path.is_file())
    return max(path.stat().st_mtime_ns for path in found)


def test_a_dry_run_writes_nothing(workflow) -> None:
    said = seeds(workflow.folder, "--seeds", "0", "1", "--dry-run")
    assert "seed 0: results/tiny/" in said
    assert "seed 1: results/tiny-seed1/" in said
    assert "prepare_dataset" in said
    assert [path.name for path in (workflow.folder / "results").iterdir()] == ["tiny"]


def test_seeds_share_the_data_set_and_a_second_time_nothing_runs(workflow) -> None:
    before = workflow.artifacts()
    said = seeds(workflow.folder, "--only", "masks", "--seeds", "0", "1")
    assert "seed 1: shared with tiny: prepare_dataset" in said
    assert workflow.artifacts() == before, "the study itself is the one of its seed"
    other = workflow.folder / "results" / "tiny-seed1"
    for name in ("dataset/manifest.tsv", "dataset/train.tsv"):
        assert (other / name).read_bytes() == (workflow.results / name).read_bytes()
    checkpoint = "classifier/checkpoint.pt"
    assert (other / checkpoint).read_bytes() != (workflow.results / checkpoint).read_bytes()
    table = (workflow.folder / "results" / "tiny-seeds" / "scores.tsv").read_text().splitlines()
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in table}
    assert rows["score"] == ["mean", "deviation", "min", "max", "seed 0", "seed 1"]
    mean, _, lowest, highest, *of = map(float, rows["pseudo masks on train"])
    scores = [
        json.loads((folder / "scores" / "random_walk.json").read_text())["miou"]
        for folder in (workflow.results, other)
    ]
    assert of == pytest.approx(scores)
    assert (mean, lowest, highest) == pytest.approx((sum(scores) / 2, min(scores), max(scores)))
    assert "pseudo masks on train" in said
    moment = newest(workflow.folder)
    assert seeds(workflow.folder, "--only", "masks", "--seeds", "0", "1").count("Nothing to be done") == 2
    assert newest(workflow.folder) == moment


def test_a_seed_that_fails_stops_the_command_and_the_others_stay(workflow: Any) -> None:
    """The photographs are gone when the second seed needs them."""
    photos = workflow.folder / "photos" / "images"
    photos.rename(workflow.folder / "elsewhere")
    before = workflow.artifacts()
    said = seeds(workflow.folder, "--only", "cams", "--seeds", "1", "3", status=1)
    assert "seed 1 has stopped, see above" in said
    assert "seed 3" not in said
    assert workflow.artifacts() == before
