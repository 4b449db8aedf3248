"""Two rounds and full supervision of a finished study: what runs, what comes of it, what reruns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import Workflow
from wsss.results import open_shards, read_cams, read_json
from wsss.stages.stand_in import read_workflow
from wsss.study.invocation import Invocation

ROUND = {
    "compute_cams",
    "label_confident",
    "train_affinitynet",
    "compute_affinities",
    "random_walk",
    "train_segmenter",
    "compute_segmentation",
}
FULL = {"train_segmenter", "compute_segmentation", "score_segmentation"}
SHOWS_THEM = {"write_tables", "write_report", "plot_scores"}
TAKES_THE_LAST = {"bundle_segmenter"}


@pytest.fixture(scope="module")
def rounds(finished: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A finished study that was given a second round and full supervision afterwards, and ran again."""
    workflow = Workflow(shutil.copytree(finished.folder, tmp_path_factory.mktemp("rounds") / "workflow"))
    workflow.configure(rounds={"count": 2}, upper_bound=True)
    planned = workflow.planned()
    assert {f"round2_{rule}" for rule in ROUND} <= planned
    assert {rule for rule in planned if rule.startswith("full_")} == {f"full_{rule}" for rule in FULL}
    others = {rule for rule in planned if not rule.startswith(("round2_", "full_"))}
    assert others == SHOWS_THEM | TAKES_THE_LAST, "nothing of the first round is computed again"
    (workflow.folder / "said.txt").write_text(workflow.snakemake())
    return workflow


@pytest.fixture
def changed(rounds: Workflow, tmp_path: Path) -> Workflow:
    """A copy to change."""
    return Workflow(shutil.copytree(rounds.folder, tmp_path / "workflow"))


@pytest.mark.slow
def test_the_seeds_of_a_round_are_kept_to_the_labels(rounds: Workflow) -> None:
    first, second = (
        open_shards(sorted((rounds.results / place).glob("*.npz")), read_cams)
        for place in ("cams/train", "rounds/2/cams/train")
    )
    with first as cams, second as seeds:
        assert set(cams) == set(seeds)
        for image in cams:
            (old, old_values), (new, new_values) = cams[image], seeds[image]
            assert old.shape == new.shape
            assert old_values.tolist() == new_values.tolist()
            assert new.sum(0).max() <= 1.001
            assert not np.array_equal(old, new)


@pytest.mark.slow
def test_every_round_and_full_supervision_are_scored_and_shown(rounds: Workflow) -> None:
    said = (rounds.folder / "said.txt").read_text()
    page = (rounds.results / "report" / "scores.html").read_text()
    table = (rounds.results / "tables" / "results.md").read_text()
    val = [
        read_json(rounds.results / place / "scores" / "segmentation.json")["miou"]
        for place in (".", "rounds/2", "full")
    ]
    for name, miou in zip(("round 1", "round 2", "full supervision"), val, strict=True):
        assert re.search(rf"^  {name}.* {100 * miou:.1f}$", said, re.M), name
        assert re.search(rf"^\| {name} .* {100 * miou:.1f} \|$", table, re.M), name
        assert name in page
    share = f"{100 * val[1] / val[2]:.1f} %"
    assert all(share in text for text in (said, page, table))


@pytest.mark.slow
def test_the_bundle_is_the_network_of_the_last_round(rounds: Workflow) -> None:
    facts = json.loads((rounds.results / "bundle" / "segmenter" / "model.json").read_text())
    assert facts["provenance"]["rounds"] == 2
    assert any("rounds/2/random_walk" in path for path in facts["provenance"]["inputs"])
    assert "There were 2 rounds" in (rounds.results / "bundle" / "segmenter" / "README.md").read_text()


@pytest.mark.slow
def test_full_supervision_is_named_in_its_provenance(rounds: Workflow) -> None:
    training = json.loads((rounds.results / "full" / "segmenter" / "checkpoint.pt.json").read_text())
    assert training["config"]["segmenter"]["supervision"] == "full"
    assert any("photos/masks" in path for path in training["inputs"])
    log = (rounds.results / "full" / "logs" / "train_segmenter.log").read_text()
    assert "true masks of 12 of 12 images" in log
    assert "3 steps" in log, "as many as on pseudo masks"


@pytest.mark.slow
def test_a_finished_study_of_rounds_is_up_to_date_until_a_later_section_changes(changed: Workflow) -> None:
    assert not changed.planned()
    changed.configure(rounds={"later": {"random_walk": {"beta": 7}}})
    planned = changed.planned()
    assert {"round2_random_walk", "round2_train_segmenter", "bundle_segmenter"} <= planned
    untouched = {"random_walk", "train_segmenter", "round2_train_affinitynet", "full_train_segmenter"}
    assert not untouched & planned
    verify = [sys.executable, "-m", "wsss", "verify", "study.yaml"]
    done = subprocess.run(verify, cwd=changed.folder, text=True, capture_output=True)
    stale = {line.split(":")[0] for line in done.stdout.splitlines()}
    assert any("rounds/2/random_walk" in path for path in stale)
    assert not any("results/tiny/random_walk" in path or "/full/" in path for path in stale)


@pytest.mark.slow
def test_rounds_that_must_agree_train_the_later_networks_anew(changed: Workflow) -> None:
    changed.configure(rounds={"agreement": True})
    trainings = {rule for rule in changed.planned() if "train_" in rule and "gallery" not in rule}
    assert trainings == {"round2_train_segmenter"}
    changed.snakemake("results/tiny/rounds/2/segmenter/checkpoint.pt")
    training = json.loads((changed.results / "rounds/2/segmenter/checkpoint.pt.json").read_text())
    walks = [path for path in training["inputs"] if "/random_walk/" in path]
    assert any("rounds/2/" in path for path in walks)
    assert any("rounds/2/" not in path for path in walks)


@pytest.mark.slow
def test_a_change_of_a_true_mask_retrains_full_supervision_alone(changed: Workflow) -> None:
    train = (changed.folder / "photos" / "splits" / "train.txt").read_text().split()
    mask = changed.folder / "photos" / "masks" / f"{train[0]}.png"
    other = changed.folder / "photos" / "masks" / f"{train[1]}.png"
    mask.write_bytes(other.read_bytes())
    changed.snakemake("prepare_dataset")  # a checkpoint: what follows is planned after it
    planned = changed.planned()
    assert "full_train_segmenter" in planned
    trainings = {rule for rule in planned if "train_" in rule and "gallery" not in rule}
    assert trainings == {"full_train_segmenter"}


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The rules of a study with two rounds and full supervision."""
    monkeypatch.chdir(tmp_path)
    for name in (*Invocation().environment(), "PYTHONPATH"):  # which the Snakefile sets
        monkeypatch.setenv(name, os.environ.get(name, ""))
    Path("study.yaml").write_text(
        yaml.safe_dump({"name": "tiny", "rounds": {"count": 2}, "upper_bound": True})
    )
    return {rule.name: rule for rule in read_workflow(["study.yaml"]).rules}


SEES_TRUTH = ("score_", "sweep_", "finish_sweep", "choose_", "plot_", "write_report")
"""Beginnings of the rules that may read true masks: they score, or show."""


def test_no_rule_of_a_round_that_computes_sees_a_mask(rules: dict[str, Any]) -> None:
    for name, rule in rules.items():
        own = name.removeprefix("round2_").removeprefix("full_")
        named = set(dict(rule.input._get_names())) & {"truth", "train_truth", "val_truth", "manifest"}
        if named and not own.startswith(SEES_TRUTH):
            assert name == "full_train_segmenter", name


def test_the_rules_of_a_round_have_logs_and_benchmarks_of_their_own(rules: dict[str, Any]) -> None:
    logs = [str(path) for rule in rules.values() for path in rule.log]
    assert len(logs) == len(set(logs))
    for name, rule in rules.items():
        if name.startswith("round2_"):
            assert str(rule.benchmark).startswith("results/tiny/rounds/2/benchmarks/"), name
            assert rule.message.endswith(", round 2"), name
