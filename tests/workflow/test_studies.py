"""The studies of the paper on a miniature of VOC 2012: what they plan, and all stages with small numbers."""

from __future__ import annotations

import math
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from wsss.models.backbones import build_backbone
from wsss.study.config import read_study

pytestmark = pytest.mark.slow

PAPER = ("voc12-resnet38", "voc12-vgg16")
ROAD = {
    "train_classifier",
    "compute_cams",
    "label_confident",
    "train_affinitynet",
    "compute_affinities",
    "random_walk",
    "train_segmenter",
    "compute_segmentation",
    "export_masks",
    "score_cams",
    "score_random_walk",
    "score_segmentation",
    "rank_quality",
}


@pytest.mark.parametrize("name", [*PAPER, "voc12-resnet50"])
def test_a_dry_run_plans_the_whole_road(name: str, voc_study) -> None:
    workflow = voc_study(name)
    if name in PAPER:
        weights = read_study(workflow.folder / "study.yaml").classifier.weights
        command = workflow.command("--dry-run")
        refused = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)
        assert refused.returncode != 0
        assert f"classifier.weights: {weights}: no such file" in refused.stdout + refused.stderr
        (workflow.folder / "weights").mkdir()
        (workflow.folder / weights).touch()
    assert "prepare_dataset" in workflow.planned()
    workflow.snakemake(f"results/{name}/dataset/manifest.tsv")
    assert workflow.planned() >= ROAD


SMALL: dict[str, Any] = {
    "shards": {"train": 1, "val": 1, "test": 1},
    "classifier": {"epochs": 0.5, "batch_size": 2, "crop_size": 64, "longest_side": 80},
    "affinitynet": {"epochs": 0.5, "batch_size": 2, "crop_size": 80},
    "segmenter": {"epochs": 0.5, "batch_size": 2, "crop_size": 64},
    "report": {"gallery": 1},
}
"""Sizes alone: every other number is the study's."""


def test_the_road_of_the_paper_runs_in_small(voc_study) -> None:
    workflow = voc_study("voc12-vgg16")
    workflow.configure(**SMALL)
    start_from_even_weights(workflow, "vgg16")
    masks = workflow.folder / "results" / "voc12-vgg16" / "masks" / "segmentation" / "val"
    workflow.snakemake(str(masks.relative_to(workflow.folder) / "index.tsv"))
    assert {path.stem for path in masks.glob("*.png")} == {"2007_000033", "2007_000042", "2009_000080"}


def test_the_road_with_resnet38_leads_to_the_server(voc_study) -> None:
    workflow = voc_study("voc12-resnet38")
    workflow.configure(**SMALL, dataset={"train": "train", "test": True}, refined_splits=["train"])
    workflow.configure(cams={"scales": [1.0]}, segmentation={"scales": [1.0]})  # a pass takes a second
    start_from_even_weights(workflow, "resnet38")
    workflow.snakemake("voc_submission")
    results = workflow.folder / "results" / "voc12-resnet38"
    with tarfile.open(results / "voc_submission" / "results.tgz") as archive:
        assert {Path(name).stem for name in archive.getnames()} == {
            "2008_000006",
            "2010_000099",
            "2011_000101",
        }
    shutil.rmtree(results)  # a gigabyte


def start_from_even_weights(workflow: Any, backbone: str) -> None:
    """Let all networks start from one number per entry, so that activations stay finite."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build_backbone(backbone, 8).state_dict().items()}
    state = {key: torch.full(shape, 1 / math.prod(shape[1:])) for key, shape in shapes.items()}
    torch.save(state, workflow.folder / f"{backbone}.pth")
    for network in ("classifier", "affinitynet", "segmenter"):
        workflow.configure(**{network: {"weights": f"{backbone}.pth"}})
