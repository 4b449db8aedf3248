from __future__ import annotations

import os
from pathlib import Path

from wsss.report.summary import summary
from wsss.results import write_json


def metrics(miou: float, *, images: int = 3, split: str = "train") -> dict[str, object]:
    return {
        "scored_images": images,
        "split": split,
        "miou": miou,
        "iou": {"background": 0.9, "cat": miou, "dog": float("nan")},
    }


def test_table_holds_each_stage_in_percent(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "cams.json", metrics(0.431))
    write_json(tmp_path / "scores" / "segmentation.json", metrics(0.512, images=2, split="val"))
    lines = [line.split() for line in summary(tmp_path).splitlines()]
    assert ["cat", "43.1", "51.2"] in lines
    assert ["dog", "-", "-"] in lines
    assert ["mean", "43.1", "51.2"] in lines
    assert ["scored", "on", "3", "train", "2", "val"] in lines


def test_without_masks_it_says_so(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "cams.json", metrics(float("nan"), images=0))
    assert "no true masks, so no scores" in summary(tmp_path)


def test_classifier_has_a_line(tmp_path: Path) -> None:
    scores = {"map": 0.9512, "scored_images": 2, "split": "val"}
    write_json(tmp_path / "scores" / "classifier.json", scores)
    assert "classifier: mAP 95.1 on 2 val" in summary(tmp_path)


def test_a_sweep_says_its_best_points(tmp_path: Path) -> None:
    point = {
        "rank": 1,
        "background": "power",
        "alpha": 2.0,
        "beta": 8.0,
        "t": 16,
        "normalize": "class",
        "miou": 0.531,
    }
    write_json(
        tmp_path / "sweep" / "points.json", {"criterion": "miou", "images": 3, "points": [point, point]}
    )
    said = summary(tmp_path)
    assert "best of 2 points on 3 images" in said
    assert "miou 53.1  alpha 2, beta 8, t 16, normalize class" in said
    assert str(tmp_path / "sweep" / "best.yaml") in said
    assert "no true masks" not in said
    assert "have changed since" not in said


def test_a_sweep_of_what_has_changed_since_says_so(tmp_path: Path) -> None:
    points, affinities = tmp_path / "sweep" / "points.json", tmp_path / "affinities" / "train" / "00.h5"
    affinities.parent.mkdir(parents=True)
    affinities.touch()
    point = {
        "rank": 1,
        "background": "power",
        "alpha": 2,
        "beta": 8,
        "t": 1,
        "normalize": "class",
        "miou": 0.5,
    }
    write_json(points, {"criterion": "miou", "images": 3, "points": [point]})
    os.utime(points, ns=(0, affinities.stat().st_mtime_ns))
    assert "have changed since" not in summary(tmp_path)
    os.utime(points, ns=(0, affinities.stat().st_mtime_ns - 1))
    assert "have changed since" in summary(tmp_path)


def test_places(tmp_path: Path) -> None:
    index = tmp_path / "masks" / "segmentation" / "val" / "index.tsv"
    index.parent.mkdir(parents=True)
    index.touch()
    assert f"{index.parent}/" in summary(tmp_path)
    assert f"snakemake --report {tmp_path / 'report.html'}" in summary(tmp_path)
    (tmp_path / "report.html").touch()
    assert "snakemake --report" not in summary(tmp_path)
