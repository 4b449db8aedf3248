"""CAMs and boundary maps of other systems: the workflow without a classifier and without AffinityNet."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsss.data import read_mask
from wsss.results import open_shards, read_affinities, read_cams
from wsss.study.shards import shard_of

pytestmark = pytest.mark.slow

IMPORTED: dict[str, Any] = {
    "cams": {"kind": "files", "format": "psa", "folder": "foreign/cams"},
    "affinities": {"kind": "boundary", "folder": "foreign/boundaries"},
    "segmenter": {"weights": "none"},
}


def write_foreign_files(folder: Path, results: Path, photos: Path) -> None:
    """Write the study's CAMs as PSA does, and the edges of its true masks as boundary maps."""
    (folder / "cams").mkdir(parents=True)
    (folder / "boundaries").mkdir()
    with open_shards(results.glob("cams/*/*.npz"), read_cams) as cams:
        for image_id, (scores, class_values) in cams.items():
            indices = (class_values - 1).tolist()  # PSA counts classes from 0, without background
            maps = dict(zip(indices, scores.astype(np.float32), strict=True))
            np.save(folder / "cams" / f"{image_id}.npy", maps, allow_pickle=True)
            mask = read_mask(photos / "masks" / f"{image_id}.png")
            edge = np.zeros(mask.shape, np.uint8)
            edge[:-1] |= np.where(mask[:-1] != mask[1:], 255, 0).astype(np.uint8)
            edge[:, :-1] |= np.where(mask[:, :-1] != mask[:, 1:], 255, 0).astype(np.uint8)
            Image.fromarray(edge).save(folder / "boundaries" / f"{image_id}.png")


@pytest.fixture(scope="module")
def imported(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run from labels, images, CAMs and boundary maps of others."""
    folder = tmp_path_factory.mktemp("imported") / "workflow"
    workflow = finished.unfinished(folder)
    write_foreign_files(folder / "foreign", finished.results, folder / "photos")
    workflow.configure(**IMPORTED)
    assert not {"train_classifier", "train_affinitynet", "label_confident"} & workflow.planned()
    (folder / "said.txt").write_text(workflow.snakemake())
    return workflow


@pytest.fixture
def changeable(imported: Any, tmp_path: Path) -> Any:
    return type(imported)(shutil.copytree(imported.folder, tmp_path / "workflow"))


def test_nothing_is_trained_but_the_segmenter(imported: Any, finished: Any) -> None:
    assert {path.parent.name for path in imported.results.glob("*/checkpoint.pt")} == {"segmenter"}
    assert not (imported.results / "confident").exists()
    for name in ("cams/train/00.npz", "cams/val/01.npz"):
        with read_cams(imported.results / name) as found, read_cams(finished.results / name) as expected:
            assert list(found) == list(expected)
            for image_id, (scores, class_values) in expected.items():
                np.testing.assert_array_equal(found[image_id].scores, scores)
                np.testing.assert_array_equal(found[image_id].class_values, class_values)


def test_boundaries_stop_the_walk(imported: Any) -> None:
    scores = json.loads((imported.results / "scores" / "affinities.json").read_text())
    assert scores["different"] == 0 < scores["equal"]
    with read_affinities(imported.results / "affinities" / "train" / "00.h5") as affinities:
        assert {affinities.boundary(image_id).max() for image_id in affinities} == {1}


def test_summary_and_report_cope(imported: Any) -> None:
    said = (imported.folder / "said.txt").read_text()
    assert "pseudo mask" in said
    assert "classifier: mAP" not in said
    page = (imported.results / "report" / "scores.html").read_text()
    assert "Affinities of neighbours" in page
    assert "Confident regions" not in page
    assert {path.name for path in (imported.results / "report").glob("*er.png")} == {"segmenter.png"}


def test_running_again_does_nothing(imported: Any) -> None:
    assert imported.planned() == set()


def test_provenance_sees_a_changed_file(changeable: Any) -> None:
    verify = [sys.executable, "-m", "wsss", "verify", "study.yaml"]
    done = subprocess.run(verify, cwd=changeable.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    path = changeable.folder / "foreign" / "cams" / "train_00000.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    said = subprocess.run(verify, cwd=changeable.folder, capture_output=True, text=True).stdout
    assert "cams/train/00.npz: input foreign/cams/train_00000.npy has changed" in said


@pytest.mark.parametrize(
    ("file", "rule", "message"),
    [
        ("cams/val_00000.npy", "compute_cams", "Compute CAMs"),
        ("boundaries/val_00000.png", "compute_affinities", "Compute affinities"),
    ],
)
def test_a_changed_file_reruns_its_shard(changeable: Any, file: str, rule: str, message: str) -> None:
    path = changeable.folder / "foreign" / file
    path.write_bytes(path.read_bytes() + b"\n")
    said = changeable.snakemake("--dry-run")
    shards = set(re.findall(rf"{message}, (\w+ \d+)", said))
    assert shards == {f"val {shard_of('val_00000', 2):02d}"}
    planned = {
        name
        for name in changeable.planned()
        if not name.startswith(("plot_", "write_tables", "write_report", "check_", "gather_"))
    }
    assert planned == {rule, "random_walk", "export_masks", "score_random_walk", "score_quality"}


def test_touched_files_rerun_nothing(changeable: Any) -> None:
    for path in (changeable.folder / "foreign").rglob("*.*"):
        path.touch()
    assert changeable.planned() == set()


def test_a_missing_file_is_named(changeable: Any) -> None:
    (changeable.folder / "foreign" / "cams" / "train_00003.npy").unlink()
    done = subprocess.run(changeable.command(), cwd=changeable.folder, capture_output=True, text=True)
    assert done.returncode != 0
    assert "lacks the files of 1 of 12 images, expected <id>.npy: train_00003" in done.stdout + done.stderr


def test_a_missing_folder_is_named_before_anything_runs(changeable: Any) -> None:
    changeable.configure(affinities={"folder": "nowhere"})
    done = subprocess.run(
        changeable.command("--dry-run"), cwd=changeable.folder, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "affinities.folder: nowhere: no such folder" in done.stdout + done.stderr
