"""A walk that says `auto`: what it runs, what feeds what, and what a change runs again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

AUTO = {
    "random_walk": {"background": {"alpha": "auto"}, "beta": "auto", "t": "auto", "normalize": "class"},
    "sweep": {"alphas": [1, 2], "constants": [0.3], "betas": [2, 8], "ts": [4, 16]},
    "dense_crf": {"distances": "share", "bilateral": [0.16, 10, 3]},
}
CHOOSING = {"sweep_random_walk", "rank_sweep", "choose_random_walk", "plot_sweep"}
AFTER_WALK = {
    "score_random_walk",
    "train_segmenter",
    "compute_segmentation",
    "score_segmentation",
    "export_masks",
    "bundle_affinitynet",
    "bundle_segmenter",
    "check_health",
    "gather_health",
    "measure_quality",
    "rank_quality",
    "score_quality",
}


@pytest.fixture(scope="module")
def chosen(finished, tmp_path_factory: pytest.TempPathFactory):
    """A finished run whose walk has been chosen, which no test may change."""
    workflow = type(finished)(shutil.copytree(finished.folder, tmp_path_factory.mktemp("auto") / "workflow"))
    workflow.configure(**AUTO)
    (workflow.folder / "said.txt").write_text(workflow.snakemake())
    return workflow


@pytest.fixture
def workflow(chosen, tmp_path: Path):
    return type(chosen)(shutil.copytree(chosen.folder, tmp_path / "workflow"))


def planned(workflow, **sections: Any) -> set[str]:
    """The rules that would run after a change, but for those that only show results."""
    workflow.configure(**sections)
    shows = (
        "plot_scores",
        "plot_history",
        "plot_train",
        "plot_val",
        "plot_quality",
        "write_tables",
        "write_report",
    )
    return {rule for rule in workflow.planned() if not rule.startswith(shows)}


def test_the_choice_feeds_the_walk_and_says_what_it_was(chosen) -> None:
    said = (chosen.folder / "said.txt").read_text()
    assert set(re.findall(r"Rule: (\w+)", said)) >= CHOOSING
    section = yaml.safe_load((chosen.results / "sweep" / "chosen.yaml").read_text())["random_walk"]
    reasons = json.loads((chosen.results / "sweep" / "chosen.json").read_text())
    assert reasons["section"] == section
    assert reasons["criterion"] == "miou"
    assert len(reasons["finalists"]) == 5
    assert reasons["score"] == max(point["finished"] for point in reasons["finalists"])
    manifest = json.loads((chosen.results / "random_walk" / "train" / "00.h5.json").read_text())
    assert manifest["settled"] == {
        "random_walk.background.alpha": section["background"]["alpha"],
        "random_walk.beta": section["beta"],
        "random_walk.t": section["t"],
    }
    assert "chosen of" in (chosen.results / "logs" / "choose_random_walk.log").read_text()
    assert "mIoU" in said.partition("random walk: chosen")[2]


def test_the_walk_scores_what_the_choice_measured(chosen) -> None:
    reasons = json.loads((chosen.results / "sweep" / "chosen.json").read_text())
    scores = json.loads((chosen.results / "scores" / "random_walk.json").read_text())
    assert scores["miou"] == pytest.approx(reasons["score"], abs=1e-12)


def test_running_again_does_nothing(chosen) -> None:
    assert chosen.planned() == set()


def test_written_numbers_need_no_sweep(workflow) -> None:
    numbers = {"background": {"alpha": 2.0}, "beta": 8.0, "t": 4}
    assert planned(workflow, random_walk=numbers) == {"random_walk", "score_affinities", *AFTER_WALK}


def test_another_grid_chooses_again_and_no_network_before_the_walk_runs(workflow) -> None:
    rules = planned(workflow, sweep={"ts": [4, 16, 32]})
    assert CHOOSING <= rules <= {*CHOOSING, "random_walk", "score_affinities", *AFTER_WALK}


def test_the_same_choice_gives_the_same_masks(workflow) -> None:
    """A grid with values that lose: the sweep chooses again, and the masks are those that were there."""
    masks = workflow.results / "masks" / "random_walk" / "train" / "train_00000.png"
    chosen = workflow.results / "sweep" / "chosen.yaml"
    before = masks.read_bytes(), chosen.read_bytes()
    workflow.configure(sweep={"constants": [0.3, 0.35]})
    workflow.snakemake("masks")
    assert (masks.read_bytes(), chosen.read_bytes()) == before
