"""What a finished run, or one that was killed, does with damaged and with unfinished files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONSUMERS = {
    "dataset/train.tsv": "masks/random_walk/train/index.tsv",
    "classifier/checkpoint.pt": "bundle/classifier/model.json",
    "classifier/history.tsv": "report/classifier.png",
    "cams/train/00.npz": "report/train_best.html",
    "affinities/train/00.h5": "quality/signals/00.tsv",
    "random_walk/train/00.h5": "masks/random_walk/train/index.tsv",
    "segmentation/val/01.h5": "masks/segmentation/val/index.tsv",
    "scores/segmentation.json": "bundle/segmenter/model.json",
    "scores/random_walk.tsv": "report/train_best.html",
    "health/cams.json": "health.json",
    "affinitynet/checkpoint.pt.json": "bundle/affinitynet/model.json",
}
"""An artifact of each kind below the folder of results, and one that is made from it."""


def flip(path: Path) -> None:
    """Flip one bit, with size and time as they were."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 2
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def wsss(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of wsss."""
    command = [sys.executable, "-m", "wsss", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True)


def said_by(workflow, *arguments: str) -> str:
    """What a run of Snakemake that must fail says."""
    done = subprocess.run(
        workflow.command(*arguments),
        cwd=workflow.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode, done.stdout
    return done.stdout


def test_a_flipped_bit_of_each_kind_stops_the_job_that_reads_it(workflow) -> None:
    for name in CONSUMERS:
        flip(workflow.results / name)
    targets = [f"results/tiny/{name}" for name in sorted(set(CONSUMERS.values()))]
    said = said_by(workflow, *targets, "--force", "--keep-going", "--rerun-triggers", "mtime")
    for name in CONSUMERS:
        assert f"results/tiny/{name}: damaged" in said, name
    verified = wsss(workflow.folder, "verify", "study.yaml")
    assert verified.returncode == 1
    for name in CONSUMERS:
        assert f"results/tiny/{name.replace('.pt.json', '.pt')}" in verified.stdout, name


def test_what_the_message_says_mends_it(workflow) -> None:
    cams = workflow.results / "cams" / "train" / "00.npz"
    whole = cams.read_bytes()
    flip(cams)
    said = said_by(workflow, "--forcerun", "label_confident")
    (command,) = {line.strip() for line in said.splitlines() if "--forcerun" in line}
    assert "results/tiny/cams/train/00.npz" in command
    options = command.partition("snakemake ")[2].partition(" --configfile")[0]
    workflow.snakemake(*options.split(), "--until", "label_confident")
    assert cams.read_bytes() == whole


def test_a_photograph_that_was_changed_with_size_and_time_kept_is_noticed(workflow) -> None:
    photograph = next((workflow.folder / "photos" / "images").glob("train_*"))
    flip(photograph)
    assert workflow.planned() == set()
    assert photograph.name in wsss(workflow.folder, "verify", "study.yaml").stdout
    said = said_by(workflow, "--forcerun", "compute_cams")
    assert f"{photograph.name}: damaged or changed since the data set was prepared" in said


def test_verify_of_a_finished_study(workflow) -> None:
    done = wsss(workflow.folder, "verify", "study.yaml")
    assert done.returncode == 0, done.stdout
    assert "no manifest names" not in done.stdout
    assert "cannot be compared" not in done.stdout
    for name in ("masks/random_walk/train/index.tsv", "tables/results.md", "report/scores.html"):
        path = workflow.results / name
        whole = path.read_bytes()
        path.unlink()
        assert f"results/tiny/{name}" in wsss(workflow.folder, "verify", "study.yaml").stdout
        path.write_bytes(whole)
    next((workflow.results / "masks" / "segmentation" / "val").glob("*.png")).unlink()
    done = wsss(workflow.folder, "verify", "study.yaml")
    assert done.returncode == 1
    assert "masks/segmentation/val/index.tsv: file " in done.stdout


STOPPED = """
import signal, sys
from wsss.results import replacing
with replacing(snakemake.output.facts) as temporary:
    temporary.write_text("half of it")
    print("in the middle", file=sys.stderr, flush=True)
    signal.pause()
"""


def test_after_a_kill_of_snakemake_the_same_command_goes_on(workflow) -> None:
    script = workflow.folder / "workflow_scripts" / "bundle_classifier.py"
    whole, facts = script.read_text(), workflow.results / "bundle" / "classifier" / "model.json"
    expected = facts.read_bytes()
    facts.unlink()
    script.write_text(STOPPED)
    run = workflow.start("--rerun-triggers", "mtime")
    assert any("in the middle" in line for line in run.stdout)
    os.kill(run.pid, signal.SIGKILL)
    script.write_text(whole)

    refused = wsss(workflow.folder, "run", "study.yaml", "--cores", "2")
    assert refused.returncode == 2
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("  kill ")]
    for process in line.split()[1:]:
        os.kill(int(process), signal.SIGKILL)
    run.communicate()
    assert len(list(workflow.results.rglob(".*.part"))) == 1

    done = wsss(workflow.folder, "run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The last run was killed; its lock is removed." in done.stdout
    assert "Removed an unfinished file of a run that was killed." in done.stdout
    assert not list(workflow.results.rglob(".*.part"))
    assert facts.read_bytes() == expected


def test_a_branch_of_protected_results_is_protected(workflow) -> None:
    assert wsss(workflow.folder, "branch", "study.yaml", "steps", "--set", "random_walk.t=20").returncode == 0
    branch = workflow.folder / "results" / "steps"
    manifest = json.loads((branch / "classifier" / "checkpoint.pt.json").read_text())
    assert set(manifest["outputs"]) == {
        "results/steps/classifier/checkpoint.pt",
        "results/steps/classifier/history.tsv",
    }
    shutil.copy(branch / "classifier" / "history.tsv", workflow.folder / "history.tsv")
    flip(branch / "classifier" / "history.tsv")
    done = wsss(workflow.folder, "verify", "steps.yaml")
    assert "results/steps/classifier/history.tsv is damaged or was changed" in done.stdout
    assert "history.tsv" not in wsss(workflow.folder, "verify", "study.yaml").stdout
