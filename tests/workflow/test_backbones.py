"""The whole road on networks of timm: a convolutional one with a decoder, and a vision transformer."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ADAMW = {"optimizer": {"kind": "adamw"}, "schedule": {"kind": "cosine", "warmup": 0.1}}
SCRATCH = {"weights": "none", "output_stride": None}

ROADS: dict[str, dict[str, Any]] = {
    "convolutional": {
        "classifier": {"backbone": "timm/resnet10t", **SCRATCH},
        "affinitynet": {"backbone": "timm/resnet10t", "output_stride": None},
        "segmenter": {"backbone": "timm/resnet10t", "output_stride": None, "head": "smp/unet"},
    },
    "transformer": {
        "classifier": {"backbone": "timm/vit_tiny_patch16_224", **SCRATCH, **ADAMW},
        "affinitynet": {
            "backbone": "timm/vit_tiny_patch16_224",
            "output_stride": None,
            "train_on": {"kind": "features"},
            **ADAMW,
        },
        "segmenter": {
            "backbone": "timm/vit_tiny_patch16_224",
            "output_stride": None,
            "head": "smp/segformer",
            **ADAMW,
        },
    },
}


@pytest.mark.parametrize("road", ROADS)
def test_the_whole_road_on_a_network_of_timm(finished, tmp_path, road: str) -> None:
    workflow = finished.unfinished(tmp_path / "workflow")
    workflow.configure(**ROADS[road])
    workflow.snakemake()
    for artifact in ("cams", "affinities", "random_walk", "segmentation"):
        scores = json.loads((workflow.results / "scores" / f"{artifact}.json").read_text())
        assert scores["scored_images"] > 0
    assert len(list((workflow.results / "masks" / "segmentation" / "val").glob("*.png"))) == 6
    assert workflow.planned() == set()
