"""All stages, from labels to scores, on a dozen images."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wsss.results import read_confusions

pytestmark = pytest.mark.slow


def test_every_stage_leaves_its_artifacts(finished) -> None:
    artifacts = finished.artifacts().keys()
    assert {
        "dataset/manifest.tsv",
        "classifier/checkpoint.pt",
        "cams/train/00.npz",
        "cams/val/01.npz",
        "confident/00.h5",
        "affinitynet/checkpoint.pt",
        "affinities/train/00.h5",
        "random_walk/train/00.h5",
        "segmenter/checkpoint.pt",
        "segmentation/train/00.h5",
        "segmentation/val/00.h5",
        "scores/cams.tsv",
        "masks/random_walk/train/train_00000.png",
        "masks/segmentation/val/val_00000.png",
    } <= artifacts
    left_over = [name for name in artifacts if ".part" in name or ".resume" in name]
    assert left_over == []


def test_index_lists_every_mask(finished) -> None:
    folder = finished.results / "masks" / "random_walk" / "train"
    with (folder / "index.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 12
    assert {row["file"] for row in rows} == {path.name for path in folder.glob("*.png")}


def test_scores_are_scores(finished) -> None:
    for name in ("cams", "random_walk", "segmentation"):
        scores = json.loads((finished.results / "scores" / f"{name}.json").read_text())
        assert 0 <= scores["miou"] <= 1
        assert scores["scored_images"] == (6 if name == "segmentation" else 12)


@pytest.mark.parametrize(
    ("artifact", "split", "other", "images"),
    [("random_walk", "train", "val", 6), ("segmentation", "val", "train", 12)],
)
def test_masks_are_scored_on_both_splits(
    finished, artifact: str, split: str, other: str, images: int
) -> None:
    scores = json.loads((finished.results / "scores" / f"{artifact}.json").read_text())
    assert scores["split"] == split
    assert (scores[other]["split"], scores[other]["scored_images"]) == (other, images)


@pytest.mark.parametrize("artifact", ["cams", "confident", "random_walk", "segmentation"])
def test_the_images_of_a_score_add_up_to_it(finished, artifact: str) -> None:
    scores = json.loads((finished.results / "scores" / f"{artifact}.json").read_text())
    n_values = len(scores["value_names"])
    images = read_confusions(finished.results / "scores" / f"{artifact}.tsv", n_values)
    confusion = sum(image.matrix(n_values) for image in images if image.split == scores["split"])
    expected = np.array(scores["confusion"])
    assert (confusion[:, : expected.shape[1]] == expected).all()


def test_masks_are_ranked_without_true_ones(finished) -> None:
    with (finished.results / "quality" / "images.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [int(row["rank"]) for row in rows] == list(range(1, 13))
    assert all(row["network"] and row["alpha"] and row["labels"] for row in rows)
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores)
    read = {
        path
        for rule in ("signals/00", "images", "classes")
        for path in json.loads((finished.results / f"quality/{rule}.tsv.json").read_text())["inputs"]
    }
    assert not [path for path in read if "photos" in path or "manifest" in path or "scores" in path]
    scored = json.loads((finished.results / "scores" / "quality.json").read_text())
    assert scored["scored_images"] == 12
    assert "Look at these first" in (finished.results / "report" / "quality.html").read_text()


def test_no_plot_reads_a_network(finished) -> None:
    manifests = [json.loads(path.read_text()) for path in finished.results.glob("report/*.json")]
    assert len(manifests) > 6
    read = {path for manifest in manifests for path in manifest["inputs"]}
    assert [path for path in read if path.endswith(".pt")] == []
    assert {manifest["device"] for manifest in manifests} == {"cpu"}


def test_tables_hold_each_stage(finished) -> None:
    table = (finished.results / "tables" / "results.md").read_text()
    for stage in (
        "CAM train",
        "random walk train",
        "random walk val",
        "segmentation train",
        "segmentation val",
    ):
        assert re.search(rf"^\| {stage} +\|", table, re.M)


def test_the_end_of_the_run_says_scores_and_places(finished) -> None:
    said = (finished.folder / "said.txt").read_text()
    assert "IoU in %" in said
    assert "results/tiny/masks/segmentation/val/" in said
    assert "quality: results/tiny/quality/images.tsv" in said


def test_the_end_of_the_run_says_what_is_wrong(finished) -> None:
    """The networks of this run learn nothing."""
    said = (finished.folder / "said.txt").read_text()
    health = json.loads((finished.results / "health.json").read_text())
    heard = {finding["alarm"]: finding for finding in health["findings"]}
    assert {"near-chance", "few-images", "classifier-steps"} <= heard.keys()
    assert (
        said.index("IoU in %")
        < said.index("health:  ")
        < said.index(f"ALARM  {heard['few-images']['title']}")
    )
    assert "check_health classifier: ALARM: a classifier near chance" in said[: said.index("IoU in %")]
    for page in ("report/scores.html", "tables/results.html"):
        html = (finished.results / page).read_text()
        assert html.index(heard["near-chance"]["title"]) < html.index("<table")


def test_training_shows_the_loss(finished) -> None:
    said = (finished.folder / "said.txt").read_text()
    for network in ("Classifier", "AffinityNet", "Segmenter"):
        assert re.search(rf"{network}: 3 steps in .*, loss \d", said)


def test_provenance_agrees_with_snakemake(finished) -> None:
    verify = [sys.executable, "-m", "wsss", "verify", "study.yaml"]
    done = subprocess.run(verify, cwd=finished.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_report_needs_no_connection(workflow) -> None:
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    workflow.snakemake("--report", "report.html", env={**os.environ, **nowhere})
    report = (workflow.folder / "report.html").read_text()
    assert "scores.png" in report
    assert re.search(r"""(src|href)=["']https?://[^"']*\.(js|css)""", report) is None


def test_no_stage_but_the_scoring_reads_a_mask(finished, tmp_path: Path) -> None:
    blind = finished.unfinished(tmp_path / "blind")
    shutil.rmtree(blind.folder / "photos" / "masks")
    blind.configure(dataset={"masks": None})
    blind.snakemake()
    expected, found = finished.artifacts(), blind.artifacts()
    assert expected.keys() == found.keys()
    differing = {name for name in expected if expected[name] != found[name]}
    shown = ("scores/", "report/", "tables/", "health")
    cards = {f"bundle/{network}/README.md" for network in ("classifier", "affinitynet", "segmenter")}
    learned = {name for name in differing if not name.startswith(shown)} - cards  # which quote the scores
    assert learned == {"dataset/manifest.tsv"}
    scores = json.loads(found["scores/random_walk.json"])
    assert scores["scored_images"] == 0
    assert scores["miou"] is None
