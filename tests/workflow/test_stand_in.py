"""One job in this process, as a debugger needs it, beside the same job under Snakemake."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def stand_in(workflow: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wsss.stages.stand_in", *arguments, "--configfile", "study.yaml"]
    return subprocess.run(command, cwd=workflow.folder, text=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["compute_cams", "split=val", "shard=01"], {"cams/val/01.npz"}),
        (
            ["random_walk", "split=train", "shard=00"],
            {"random_walk/train/00.h5", "random_walk/margins/train/00.h5"},
        ),
        (["score_segmentation"], {"scores/segmentation.json", "scores/segmentation.tsv"}),
        (["train_classifier"], {"classifier/checkpoint.pt", "classifier/history.tsv"}),
    ],
)
def test_a_job_makes_what_it_makes_under_snakemake(workflow, arguments: list[str], written: set[str]) -> None:
    expected, before = workflow.artifacts(), workflow.newest()
    done = stand_in(workflow, *arguments)
    assert done.returncode == 0, done.stderr
    assert workflow.written_since(before) == {name for name in written if "history" not in name}
    assert workflow.artifacts() == expected


def test_a_debugger_stops_in_the_script(workflow) -> None:
    script = workflow.folder / "workflow_scripts" / "export_masks.py"
    script.write_text(
        script.read_text().replace("    with open_shards", "    breakpoint()\n    with open_shards")
    )
    command = [sys.executable, "-m", "wsss.stages.stand_in", "export_masks", "artifact=random_walk"]
    done = subprocess.run(
        [*command, "split=train", "--configfile", "study.yaml"],
        cwd=workflow.folder,
        input="p job.input.masks\nc\n",
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert "(Pdb) " in done.stdout
    assert "results/tiny/random_walk/train/00.h5" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["randomwalk"], "there is no rule 'randomwalk', did you mean 'random_walk'?"),
        (["random_walk", "split=train"], "random_walk: got split, expected shard=… split=…"),
        (["random_walk", "split=train", "shard=07"], "results/tiny/dataset/train/07.tsv"),
        (["random_walk", "train"], "train: expected name=value"),
    ],
)
def test_what_is_no_job_is_refused_in_one_line(finished, arguments: list[str], message: str) -> None:
    done = stand_in(finished, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_data_set_comes_first(new_workflow) -> None:
    done = stand_in(new_workflow, "train_classifier")
    assert done.returncode == 2
    assert "snakemake prepare_dataset --configfile study.yaml` first" in done.stderr
