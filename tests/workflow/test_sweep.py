"""The sweep as a command: what it runs, what it leaves, and that its figures are those of the study."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsss.stages.sweep.points import Point

pytestmark = pytest.mark.slow

ENDING = {"rank_sweep", "finish_sweep", "plot_sweep", "sweep"}
SWEEP = {"alphas": [1, 4], "constants": [0.2, 0.4], "betas": [2, 8], "ts": [4, 16]}


@pytest.fixture(scope="module")
def swept(finished, tmp_path_factory: pytest.TempPathFactory):
    """A finished run with a finished sweep, which no test may change."""
    workflow = type(finished)(shutil.copytree(finished.folder, tmp_path_factory.mktemp("swept") / "workflow"))
    workflow.configure(sweep=SWEEP)
    (workflow.folder / "said.txt").write_text(workflow.snakemake("sweep"))
    return workflow


@pytest.fixture
def workflow(swept, tmp_path: Path):
    return type(swept)(shutil.copytree(swept.folder, tmp_path / "workflow"))


def jobs(workflow, *arguments: str) -> dict[str, int]:
    """How many jobs of each rule a dry run would run."""
    said = workflow.snakemake("--dry-run", *arguments)
    counts = re.findall(r"^(\w+) +(\d+)$", said.partition("Job stats:")[2].partition("total")[0], re.M)
    return {rule: int(count) for rule, count in counts}


def points(workflow) -> dict[str, Any]:
    return json.loads((workflow.results / "sweep" / "points.json").read_text())


def test_a_sweep_runs_nothing_but_itself_and_ends_with_its_best_points(swept) -> None:
    said = (swept.folder / "said.txt").read_text()
    assert set(re.findall(r"Rule: (\w+)", said)) == {"sweep_random_walk", *ENDING}
    assert "sweep: best of 32 points on 12 images" in said
    assert "with the dense CRF, on 12 of these images" in said
    assert "results/tiny/sweep/best.yaml" in said
    assert jobs(swept, "sweep") == {}
    assert jobs(swept) == {}


def test_a_sweep_reads_no_network(swept) -> None:
    manifest = json.loads((swept.results / "sweep" / "8" / "00.json.json").read_text())
    assert [path for path in manifest["inputs"] if "checkpoint" in path] == []
    assert {Path(path).suffix for path in manifest["inputs"]} == {".tsv", ".npz", ".h5", ".png"}


def test_the_best_point_scores_in_the_study_what_it_scored_in_the_sweep(workflow) -> None:
    best = points(workflow)["points"][0]
    walk = Point.of(best).section
    workflow.configure(random_walk={**walk, "refine": "none"})
    workflow.snakemake("results/tiny/scores/random_walk.json")
    scores = json.loads((workflow.results / "scores" / "random_walk.json").read_text())
    assert scores["miou"] == pytest.approx(best["miou"], abs=1e-12)
    assert scores["iou"] == pytest.approx(best["iou"], abs=1e-12, nan_ok=True)


def test_the_overlay_scores_in_the_study_what_its_point_scored_with_the_dense_crf(workflow) -> None:
    finished = json.loads((workflow.results / "sweep" / "finished.json").read_text())
    overlay = yaml.safe_load((workflow.results / "sweep" / "best.yaml").read_text())
    assert finished["section"] == overlay["random_walk"]
    assert finished["score"] == max(point["finished"] for point in finished["finalists"])
    workflow.configure(random_walk=overlay["random_walk"])
    workflow.snakemake("results/tiny/scores/random_walk.json")
    scores = json.loads((workflow.results / "scores" / "random_walk.json").read_text())
    assert scores["miou"] == pytest.approx(finished["score"], abs=1e-12)


def test_another_beta_runs_its_own_jobs_alone(workflow) -> None:
    workflow.configure(sweep={"betas": [2, 5.5, 8]})
    assert jobs(workflow, "sweep") == {"sweep_random_walk": 1, **dict.fromkeys(ENDING, 1)}


@pytest.mark.parametrize(
    ("change", "swept_again"),
    [
        ({"sweep": {"ts": [4, 16, 32]}}, 2),
        ({"sweep": {"betas": [8, 2]}}, 0),
        ({"random_walk": {"background": {"alpha": 5.5}, "beta": 5.0, "t": 4}}, 0),
        ({"affinities": {"flip": True}}, 2),
    ],
)
def test_a_changed_key_sweeps_again_what_depends_on_it(workflow, change, swept_again: int) -> None:
    workflow.configure(**change)
    assert jobs(workflow, "sweep").get("sweep_random_walk", 0) == swept_again


def test_without_a_dense_crf_the_points_are_finished_again_and_none_is_swept(workflow) -> None:
    workflow.configure(random_walk={"refine": "none"})
    assert set(jobs(workflow, "sweep")) == {"finish_sweep", "plot_sweep", "sweep"}


def test_values_of_the_sweep_change_nothing_else(workflow) -> None:
    workflow.configure(sweep={"alphas": [2], "constants": [0.1], "betas": [1], "ts": [2]})
    assert jobs(workflow) == {}


def test_without_masks_the_points_are_ranked_by_what_the_images_show(workflow) -> None:
    workflow.configure(dataset={"masks": None})
    workflow.snakemake("sweep")
    ranking = points(workflow)
    assert ranking["criterion"] != "miou"
    assert {point["miou"] for point in ranking["points"]} == {None}
    assert (workflow.results / "report" / "sweep.png").exists()


def test_the_report_has_the_sweep_where_it_is_asked_for(workflow) -> None:
    workflow.snakemake("all", "sweep", "--report", "both.html")
    assert "sweep.html" in (workflow.folder / "both.html").read_text()
    workflow.snakemake("--report", "without.html")
    assert "sweep.html" not in (workflow.folder / "without.html").read_text()
