"""The studies of the paper on a miniature of VOC 2012: what they plan, and the road with small numbers."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from wsss.networks import build_backbone

pytestmark = pytest.mark.slow

PAPER = ("voc12-resnet38", "voc12-vgg16")
ROAD = {
    "train_classifier",
    "compute_cams",
    "label_confident_regions",
    "train_affinitynet",
    "compute_affinities",
    "propagate_cams",
    "train_segmenter",
    "segment",
    "export_masks",
    "evaluate_cams",
    "evaluate_pseudo_masks",
    "evaluate_segmentation",
}


@pytest.mark.parametrize("name", [*PAPER, "voc12-resnet50"])
def test_a_dry_run_plans_the_whole_road(name: str, voc_study) -> None:
    workflow = voc_study(name)
    if name in PAPER:
        weights = yaml.safe_load((workflow.folder / "study.yaml").read_text())["classifier"]["weights"]
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
    write_even_weights(workflow.folder / "vgg16.pth")
    workflow.configure(**SMALL)
    for network in ("classifier", "affinitynet", "segmenter"):
        workflow.configure(**{network: {"weights": "vgg16.pth"}})
    masks = workflow.folder / "results" / "voc12-vgg16" / "masks" / "segmentation" / "val"
    workflow.snakemake(str(masks.relative_to(workflow.folder) / "index.tsv"))
    assert {path.stem for path in masks.glob("*.png")} == {"2007_000033", "2007_000042", "2009_000080"}


def write_even_weights(path: Path) -> None:
    """Write weights for VGG16 of one number per entry, which take no room and keep activations finite."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in build_backbone("vgg16", 8).state_dict().items()}
    state = {key: torch.tensor(1 / math.prod(shape[1:])).expand(shape) for key, shape in shapes.items()}
    torch.save(state, path)
