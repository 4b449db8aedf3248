"""What runs again after a change, and what does not."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wsss
from tests.conftest import READERS
from wsss.results import open_shards, read_masks
from wsss.study.shards import shard_of

pytestmark = pytest.mark.slow

QUALITY = {"measure_quality", "rank_quality", "score_quality"}
AFTER_SEGMENTER = {
    "compute_segmentation",
    "score_segmentation",
    "export_masks",
    "bundle_segmenter",
    *QUALITY,
}
AFTER_WALK = {"score_random_walk", "train_segmenter", *AFTER_SEGMENTER}
AFTER_AFFINITYNET = {
    "compute_affinities",
    "score_affinities",
    "bundle_affinitynet",
    "random_walk",
    *AFTER_WALK,
}
AFTER_CONFIDENT = {"score_confident", "train_affinitynet", *AFTER_AFFINITYNET}
AFTER_CAMS = {"score_cams", "label_confident", *AFTER_CONFIDENT}

SHOWN = ("report/", "tables/", "health", "bundle/")
"""Beginnings of the files that these write."""

SCORED_ON_TRAIN = ("cams", "confident", "affinities", "random_walk", "segmentation")


def files_of_scores(*artifacts: str) -> set[str]:
    """What the scoring of artifacts writes; CAMs are scored after the dense CRF too."""
    files = {f"scores/{artifact}.{kind}" for artifact in artifacts for kind in ("json", "tsv")}
    return files | ({"scores/cams_dense_crf.tsv"} if "cams" in artifacts else set())


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "classifier": (
        {"classifier": {"epochs": 2}},
        {"train_classifier", "score_classifier", "bundle_classifier", "compute_cams", *AFTER_CAMS},
    ),
    "low_alpha": (
        {"confident": {"background": {"low_alpha": 2.0}}},
        {"label_confident", *AFTER_CONFIDENT},
    ),
    "affinitynet": (
        {"affinitynet": {"optimizer": {"learning_rate": 0.5}}},
        {"train_affinitynet", *AFTER_AFFINITYNET},
    ),
    "alpha": (
        {"random_walk": {"background": {"alpha": 5.5}}},
        {"random_walk", "score_affinities", "bundle_affinitynet", *AFTER_WALK},
    ),
    "another kind of background": (
        {"random_walk": {"background": {"kind": "constant", "score": 0.2}}},
        {"random_walk", "score_affinities", "bundle_affinitynet", *AFTER_WALK},
    ),
    "segmenter": ({"segmenter": {"schedule": {"power": 0.5}}}, {"train_segmenter", *AFTER_SEGMENTER}),
    "segmentation": ({"segmentation": {"flip": True}}, AFTER_SEGMENTER),
    "fewer splits segmented": (
        {"segmentation": {"splits": ["val"]}},
        {"score_segmentation", "bundle_segmenter", *QUALITY},
    ),
    "two values of a list swapped": (
        {"cams": {"scales": [0.5, 1.0]}},
        {"compute_cams", "bundle_classifier", *AFTER_CAMS},
    ),
    "the same number in another form": ({"random_walk": {"t": 16.0}, "classifier": {"epochs": 1.0}}, set()),
}


def test_running_again_does_nothing(workflow) -> None:
    assert workflow.planned() == set()
    before = workflow.newest()
    assert "Nothing to be done" in workflow.snakemake()
    assert workflow.written_since(before) == set()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_key_reruns_what_depends_on_it(workflow, change: str) -> None:
    sections, expected = CHANGES[change]
    workflow.configure(**sections)
    planned = workflow.planned()
    assert {rule for rule in planned if not rule.startswith(READERS)} == expected
    assert ("gather_health" in planned) == ("write_report" in planned) == bool(expected)


def test_comments_and_docstrings_rerun_nothing(workflow) -> None:
    module = workflow.folder / "wsss" / "method" / "confident.py"
    text = module.read_text()
    module.write_text(text.replace('"""', '"""In other words: ', 1) + "\n# a remark\n")
    assert workflow.planned() == set()


def test_a_changed_module_reruns_its_stage_and_is_named_as_the_reason(workflow) -> None:
    module = workflow.folder / "wsss" / "method" / "confident.py"
    module.write_text(module.read_text() + "\n\nSOMETHING_NEW = 1\n")
    said = workflow.snakemake("--dry-run")
    assert changed_params(said, "Label confident regions, 00") == {"wsss.method.confident"}


def changed_params(said: str, message: str) -> set[str]:
    """The keys in which the params of a job differ, as the reason in a dry run gives them."""
    reason = re.search(
        rf"{re.escape(message)}\nReason: .*?before: (\{{.*?\}}) now: (\{{.*?\}}) *$", said, re.M
    )
    assert reason is not None, said
    before, now = map(ast.literal_eval, reason.groups())
    return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}


def test_touched_photographs_are_looked_at_and_nothing_else_runs(workflow) -> None:
    before = workflow.newest()
    for photograph in (workflow.folder / "photos").rglob("*.*"):
        photograph.touch()
    workflow.snakemake()
    assert {name for name in workflow.written_since(before) if not name.startswith("dataset/")} == set()


def add_image(photos: Path, name: str) -> None:
    """Add an image to val."""
    shutil.copy(photos / "images" / "val_00000.jpg", photos / "images" / f"{name}.jpg")
    shutil.copy(photos / "masks" / "val_00000.png", photos / "masks" / f"{name}.png")
    labels = (photos / "labels.csv").read_text()
    line = re.search(r"^val_00000,(.*)$", labels, re.M)
    assert line is not None
    (photos / "labels.csv").write_text(f"{labels}{name},{line[1]}\n")
    with (photos / "splits" / "val.txt").open("a") as file:
        file.write(f"{name}\n")


def test_a_new_image_reruns_one_shard_per_stage(workflow) -> None:
    before = workflow.newest()
    add_image(workflow.folder / "photos", "val_new")
    workflow.snakemake()
    shard = f"val/{shard_of('val_new', 2):02d}"
    written = workflow.written_since(before)
    assert {name for name in written if not name.startswith(("dataset/", "masks/", *SHOWN))} == {
        f"cams/{shard}.npz",
        f"affinities/{shard}.h5",
        f"random_walk/{shard}.h5",
        f"random_walk/margins/{shard}.h5",
        f"segmentation/{shard}.h5",
        *files_of_scores("classifier", *SCORED_ON_TRAIN),
        "scores/quality.json",
    }
    assert (workflow.results / "masks" / "segmentation" / "val" / "val_new.png").exists()
    assert workflow.planned() == set()


def test_a_changed_mask_changes_scores_alone(workflow) -> None:
    before = workflow.newest()
    masks = workflow.folder / "photos" / "masks"
    shutil.copy(masks / "train_00001.png", masks / "train_00000.png")
    workflow.snakemake()
    written = workflow.written_since(before)
    changed = {name for name in written if not name.startswith(("dataset/", *SHOWN))}
    assert changed == {*files_of_scores(*SCORED_ON_TRAIN), "scores/quality.json"}


def test_a_corrected_mask_retrains_the_segmentation_network_alone(workflow) -> None:
    corrected = workflow.folder / "corrected"
    corrected.mkdir()
    pseudo = workflow.results / "masks" / "random_walk" / "train"
    shutil.copy(workflow.folder / "photos" / "masks" / "train_00000.png", corrected)
    workflow.configure(segmenter={"corrected": "corrected"})
    planned = {rule for rule in workflow.planned() if not rule.startswith(READERS)}
    assert planned == {"check_corrected", "train_segmenter", *AFTER_SEGMENTER}
    before = workflow.newest()
    workflow.snakemake("results/tiny/bundle/segmenter/model.json")
    said = (workflow.results / "logs" / "train_segmenter.log").read_text()
    assert "corrected masks of 1 of 12 images, which change" in said
    card = (workflow.results / "bundle" / "segmenter" / "README.md").read_text()
    assert "masks corrected by hand for 1 of 12" in " ".join(card.split())
    written = workflow.written_since(before)
    assert {name.split("/")[0] for name in written} == {
        "corrected",
        "segmenter",
        "segmentation",
        "scores",
        "bundle",
    }
    shutil.copy(pseudo / "train_00001.png", corrected)
    assert "train_segmenter" in workflow.planned("results/tiny/segmenter/checkpoint.pt")
    (corrected / "train_00001.png").write_bytes((pseudo / "train_00002.png").read_bytes()[:50])
    assert "mask that cannot be used" in failing(workflow, "results/tiny/segmenter/checkpoint.pt")


def failing(workflow: Any, *arguments: str) -> str:
    """What a run says that must fail."""
    command = workflow.command(*arguments)
    done = subprocess.run(
        command, cwd=workflow.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode != 0, done.stdout
    return done.stdout


def test_a_folder_of_corrected_masks_that_is_not_there(workflow) -> None:
    workflow.configure(segmenter={"corrected": "gone"})
    assert "segmenter.corrected: gone: no such folder" in failing(workflow, "--dry-run")


def test_new_photographs_with_braces_are_refused(workflow) -> None:
    shutil.copytree(workflow.folder / "photos" / "images", workflow.folder / "new")
    (workflow.folder / "new" / "train_00000.jpg").rename(workflow.folder / "new" / "a{b}.jpg")
    said = failing(workflow, "predict", "--config", "predict={images: new}", "--dry-run")
    assert "new/a{b}.jpg: allowed are names without { and }, which Snakemake fills in; `wsss predict`" in said


def test_a_new_photograph_predicts_its_shard(workflow) -> None:
    assert "predict.images: missing" in failing(workflow, "predict", "--dry-run")
    shutil.copytree(workflow.folder / "photos" / "images", workflow.folder / "new")
    overlay = ("predict", "--config", "predict={images: new, shards: 3}")
    workflow.snakemake(*overlay)
    table = (workflow.results / "predict" / "classes.csv").read_text().splitlines()
    assert len(table) == 1 + 18
    mask = workflow.results / "predict" / "masks" / "val_00000.png"
    exported = workflow.results / "masks" / "segmentation" / "val" / "val_00000.png"
    assert mask.read_bytes() == exported.read_bytes()
    assert workflow.planned(*overlay) == set()
    before = workflow.newest()
    shutil.copy(workflow.folder / "new" / "val_00000.jpg", workflow.folder / "new" / "another.jpg")
    workflow.snakemake(*overlay)
    shards = {name for name in workflow.written_since(before) if name.startswith("predict/shards")}
    assert shards == {f"predict/shards/{shard_of('another', 3):02d}.tsv"}


def test_the_bundle_gives_the_masks_of_the_study(workflow, tmp_path: Path) -> None:
    """Anywhere, without the study."""
    shutil.copytree(workflow.results / "bundle" / "segmenter", tmp_path / "mine")
    with open_shards(sorted((workflow.results / "segmentation" / "val").glob("*.h5")), read_masks) as masks:
        photographs = [workflow.folder / "photos" / "images" / f"{image_id}.jpg" for image_id in masks]
        found = wsss.SegmentationModel.load(tmp_path / "mine", "cpu").predict(photographs)
        for mask, result in zip(masks.values(), found, strict=True):
            np.testing.assert_array_equal(result.mask, mask)
    for network in ("classifier", "affinitynet"):
        assert (
            wsss.load_model(workflow.results / "bundle" / network, "cpu").class_names == found[0].class_names
        )
