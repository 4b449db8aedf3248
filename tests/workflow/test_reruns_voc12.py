"""What runs again after a change of VOC 2012's files, and what cannot be asked for."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tests.conftest import READERS

pytestmark = pytest.mark.slow

ROOT = "data/VOCdevkit/VOC2012"


def test_running_again_does_nothing(voc_workflow) -> None:
    assert voc_workflow.planned("all", "voc_submission") == set()


@pytest.mark.parametrize(
    "name",
    [
        f"{ROOT}/Annotations/2008_000002.xml",
        f"{ROOT}/SegmentationClass/2007_000032.png",
        f"{ROOT}/ImageSets/Segmentation/test.txt",
        "data/SBD/val.txt",
    ],
)
def test_a_changed_file_is_looked_at(voc_workflow, name: str) -> None:
    with (voc_workflow.folder / name).open("ab") as file:
        file.write(b"\n")
    assert "prepare_dataset" in voc_workflow.planned()


def test_a_changed_label_retrains_and_a_touched_one_does_not(voc_workflow) -> None:
    annotation = voc_workflow.folder / ROOT / "Annotations" / "2008_000002.xml"
    annotation.touch()
    before = voc_workflow.newest()
    voc_workflow.snakemake()
    assert {name for name in voc_workflow.written_since(before) if not name.startswith("dataset/")} == set()
    annotation.write_text("<annotation><object><name>sofa</name></object></annotation>")
    voc_workflow.snakemake("--until", "prepare_dataset")
    assert {"train_classifier", "compute_cams"} <= voc_workflow.planned()


def test_a_changed_list_of_test_repeats_its_segmentation_and_no_training(voc_workflow) -> None:
    lists = voc_workflow.folder / ROOT / "ImageSets" / "Segmentation"
    (lists / "test.txt").write_text("2008_000006\n2010_000099\n")
    voc_workflow.snakemake("--until", "prepare_dataset")
    planned = voc_workflow.planned("all", "voc_submission")
    readers = ("score_", "bundle_", *READERS)
    readers_of_the_manifest = {rule for rule in planned if rule.startswith(readers)}
    assert planned - readers_of_the_manifest == {"compute_segmentation", "voc_submission"}


def test_the_rule_for_difficult_objects_is_part_of_the_study(voc_workflow) -> None:
    voc_workflow.configure(dataset={"difficult": "kept"})
    assert "prepare_dataset" in voc_workflow.planned()


@pytest.mark.parametrize(
    ("dataset", "word"),
    [
        (
            {"kind": "voc12", "root": ROOT, "sbd": "data/SBD"},
            "the dataset of this study is of kind voc12, without them",
        ),
        ({"kind": "shapes"}, "the dataset of this study is of kind shapes, without them"),
    ],
)
def test_submission_without_test_images_ends_before_any_job(voc_workflow, dataset: Any, word: str) -> None:
    study = voc_workflow.folder / "study.yaml"
    study.write_text(yaml.safe_dump({"name": "other", "dataset": dataset}))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command = voc_workflow.command("voc_submission")
    done = subprocess.run(command, cwd=voc_workflow.folder, text=True, **pipes)
    assert done.returncode == 1
    assert word in done.stdout
    assert not (voc_workflow.folder / "results" / "other").exists()
