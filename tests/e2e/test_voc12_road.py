"""The whole road on a miniature of VOC 2012, to the archive for its evaluation server."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile

import pytest

from wsss.data import Manifest
from wsss.results import read_masks

pytestmark = pytest.mark.slow

TEST = ("2008_000006", "2010_000099", "2011_000101")


def test_submission_holds_the_masks_of_the_test_images(finished_voc) -> None:
    archive = finished_voc.results / "voc_submission" / "results.tgz"
    with tarfile.open(archive) as members:
        folder = "results/VOC2012/Segmentation/comp5_test_cls"
        assert members.getnames() == [f"{folder}/{image_id}.png" for image_id in TEST]
    root = "data/VOCdevkit/VOC2012"
    check = [sys.executable, "-m", "wsss.stages.voc_submission", "check", str(archive), "--root", root]
    done = subprocess.run(check, cwd=finished_voc.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_segmentation_sees_the_test_images(finished_voc) -> None:
    of_test = {name for name in finished_voc.artifacts() if "/test" in name}
    assert of_test == {
        "dataset/test.tsv",
        *(f"dataset/test/{shard}.tsv" for shard in ("00", "01")),
        *(f"segmentation/test/{shard}.h5" for shard in ("00", "01")),
    }
    shards = (finished_voc.results / "segmentation" / "test").glob("*.h5")
    assert {image_id for shard in shards for image_id in read_masks(shard)} == set(TEST)


def test_scores_are_of_the_official_lists(finished_voc) -> None:
    for name in ("cams", "random_walk", "segmentation"):
        scores = json.loads((finished_voc.results / "scores" / f"{name}.json").read_text())
        assert scores["scored_images"] == (3 if name == "segmentation" else 4)
        assert len(scores["iou"]) == 21


def test_an_image_without_label_goes_all_the_way(finished_voc) -> None:
    train = Manifest.read(finished_voc.results / "dataset" / "train.tsv")
    unlabelled = [row.id for row in train if not row.labels]
    assert unlabelled == ["2008_000003"]
    assert (finished_voc.results / "masks" / "random_walk" / "train" / f"{unlabelled[0]}.png").exists()
