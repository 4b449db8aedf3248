"""`wsss branch`: the second study has what stays the same, and Snakemake and `wsss verify` believe it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

BUNDLES = {"bundle_classifier", "bundle_affinitynet", "bundle_segmenter"}
"""They name their study, so that a branch has its own."""

QUALITY = {"measure_quality", "rank_quality", "score_quality"}

AFTER_WALK = {
    "random_walk",
    "score_affinities",
    "score_random_walk",
    "train_segmenter",
    "compute_segmentation",
    "score_segmentation",
    "export_masks",
    *QUALITY,
}


def wsss(folder: Path, *arguments: str, status: int = 0) -> str:
    """What a command prints."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "wsss", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def results(folder: Path) -> dict[str, Path]:
    """Results but logs and times, by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path for path in files}


def planned(folder: Path, overlay: str) -> set[str]:
    """The rules of which a run would start jobs, but for figures, tables and alarms."""
    said = wsss(folder, "run", overlay, "--dry-run", "--cores", "1")
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", said, re.M | re.S)
    rules = {line.split()[0] for line in table[1].splitlines()} if table else set()
    return {
        rule for rule in rules if not rule.startswith(("plot_", "write_", "check_health", "gather_health"))
    } - {"all"}


@pytest.mark.parametrize(
    ("name", "settings", "rerun"),
    [
        ("steps", ["random_walk.t=20"], AFTER_WALK),
        ("flat", ["random_walk.background={kind: constant, score: 0.2}"], AFTER_WALK),
        (
            "flipped",
            ["segmentation.flip=true"],
            {"compute_segmentation", "score_segmentation", "export_masks", *QUALITY},
        ),
        ("same", ["random_walk.t=16.0"], set()),
    ],
)
def test_only_what_changed_is_computed(workflow, name: str, settings: list[str], rerun: set[str]) -> None:
    said = wsss(workflow.folder, "branch", "study.yaml", name, *(f"--set={text}" for text in settings))
    assert f"wsss run {name}.yaml" in said
    study = yaml.safe_load((workflow.folder / f"{name}.yaml").read_text())
    assert study["name"] == name
    assert planned(workflow.folder, f"{name}.yaml") == rerun | BUNDLES
    assert planned(workflow.folder, "study.yaml") == set(), "the first study is as it was"
    old, new = results(workflow.results), results(workflow.results.with_name(name))
    assert set(new) <= set(old)
    assert {path.split("/")[0] for path in new} >= {"dataset", "classifier", "cams", "confident", "logs"}
    assert not any(path.startswith("random_walk/") for path in new) or "random_walk" not in rerun


def test_the_branch_has_the_provenance_of_its_own_files(workflow) -> None:
    wsss(workflow.folder, "branch", "study.yaml", "steps", "--set", "random_walk.t=20")
    branch = workflow.results.with_name("steps")
    assert "artifacts are up to date" in wsss(workflow.folder, "verify", "steps.yaml")
    manifest = json.loads((branch / "cams/train/00.npz.json").read_text())
    assert manifest["artifact"] == "results/steps/cams/train/00.npz"
    assert "results/steps/classifier/checkpoint.pt" in manifest["inputs"]
    large = [path for path in results(branch).values() if path.stat().st_size >= 1_000_000]
    assert all(path.stat().st_nlink == 2 for path in large)


def test_a_finished_branch_is_compared_with_its_origin(workflow) -> None:
    wsss(workflow.folder, "branch", "study.yaml", "steps", "--set", "random_walk.t=20")
    before = workflow.artifacts()
    line = ["masks", "--configfile", "steps.yaml"]
    workflow.snakemake(*line)
    assert workflow.artifacts() == before
    said = wsss(workflow.folder, "compare", "study.yaml", "steps.yaml")
    assert "random_walk.t: 16 → 20" in said
    assert "pseudo mask, IoU in %" in said


def test_what_cannot_be_branched(workflow) -> None:
    (workflow.folder / "taken.yaml").write_text("name: taken")
    refused = [
        (["study.yaml", "taken", "--set", "seed=1"], "taken.yaml: is there already"),
        (["study.yaml", "tiny", "--set", "seed=1"], "results/tiny: is there already"),
        (["study.yaml", "new", "--set", "random_walk.bet=8"], "random_walk.bet"),
        (["study.yaml", "new", "--set", "random_walk.beta"], "expected key=value"),
        (["taken.yaml", "new", "--set", "seed=1"], "results/taken: no results that Snakemake remembers"),
    ]
    for arguments, said in refused:
        assert said in wsss(workflow.folder, "branch", *arguments, status=2)
    assert not (workflow.folder / "new.yaml").exists()
    assert not (workflow.folder / "results" / "new").exists()
