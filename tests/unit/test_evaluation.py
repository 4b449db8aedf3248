from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from wsss.data import ImageRow, Manifest, write_mask
from wsss.method.affinity import half_plane_offsets, oracle_stencil
from wsss.method.metrics import class_iou
from wsss.results import (
    AffinityGrid,
    Cams,
    ImageConfusion,
    read_confusions,
    write_confusions,
    write_json,
)
from wsss.runtime.compute import Compute
from wsss.stages.scores.affinities import score_affinities
from wsss.stages.scores.cams import score_cams, score_refined_cams
from wsss.stages.scores.classifier import score_classifier
from wsss.stages.scores.masks import score_confident, score_masks, score_splits
from wsss.stages.scores.truth import Scored, Truth
from wsss.study.config import ConstantBackground, RandomWalk

CLASSES = ("cat", "dog")
SIZE = (32, 48)
WALK = RandomWalk(background=ConstantBackground(kind="constant", score=0.125), beta=8.0, t=64)


def left_half(value: int, columns: int = 24) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :columns] = value
    return mask


MASKS = {"a": left_half(1), "b": left_half(2), "c": left_half(1)}
"""a and b are training images of which only a and b are scored; c is a validation image."""


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rows = []
    for image_id, mask in MASKS.items():
        path = tmp_path / f"{image_id}.png"
        write_mask(path, mask)
        split, labels = ("val" if image_id == "c" else "train"), (int(mask.max()) - 1,)
        rows.append(
            ImageRow(image_id, Path("none.jpg"), path, split, split == "train", labels, *SIZE, digest="")
        )
    unscored = rows[0].__class__("d", Path("none.jpg"), rows[0].mask, "train", False, (0,), *SIZE, digest="")
    return Manifest(CLASSES, (*rows, unscored))


@pytest.fixture
def truth(manifest: Manifest) -> Truth:
    return Truth(manifest, "train")


@pytest.fixture
def no_truth(manifest: Manifest) -> Truth:
    return Truth(manifest.without_masks(), "train")


def cams_of(mask: np.ndarray, inside: float = 0.75, outside: float = 0.25) -> Cams:
    scores = np.where(mask > 0, inside, outside).astype(np.float16)[None]
    return Cams(scores, np.array([mask.max()], np.int64))


def test_only_scored_training_images_count(truth: Truth, manifest: Manifest) -> None:
    assert [image_id for image_id, _ in truth] == ["a", "b"]
    assert [image_id for image_id, _ in Truth(manifest, "val")] == ["c"]


def test_masks_as_true_as_the_truth_score_one(truth: Truth) -> None:
    scores = score_masks(truth, MASKS).metrics
    assert scores["miou"] == 1
    assert scores["iou"] == {"background": 1, "cat": 1, "dog": 1}
    assert scores["scored_images"] == 2


def test_mask_scores_by_hand(truth: Truth) -> None:
    predicted = {"a": left_half(1, columns=12), "b": left_half(1)}
    scores = score_masks(truth, predicted).metrics
    half, quarter = 32 * 24, 32 * 12
    assert scores["confusion"] == [[2 * half, 0, 0], [quarter, quarter, 0], [0, half, 0]]
    assert scores["iou"]["cat"] == pytest.approx(quarter / (2 * quarter + half))
    assert scores["precision"]["cat"] == pytest.approx(quarter / (quarter + half))
    assert scores["recall"]["cat"] == pytest.approx(0.5)
    assert scores["iou"]["dog"] == 0


def test_cams_at_each_background(truth: Truth) -> None:
    scores = score_cams(truth, {image_id: cams_of(mask) for image_id, mask in MASKS.items()}).metrics
    assert 0.25 <= scores["constant"] < 0.75
    assert scores["miou"] == 1
    assert scores["constants"]["0.5"] == 1
    assert scores["constants"]["0.1"] < 1  # all foreground
    assert scores["constants"]["0.9"] < 1  # all background
    # (1 - 0.25)^2 > 0.25 and (1 - 0.75)^2 < 0.75 separate the halves; (1 - 0.25)^16 does not exceed 0.25
    assert scores["alphas"]["2"] == 1
    assert scores["alphas"]["16"] == scores["constants"]["0.1"]


def test_confident_regions(truth: Truth) -> None:
    labels = {"a": np.full(SIZE, 255, np.uint8), "b": MASKS["b"].copy()}
    labels["b"][:, 12:24] = 255
    labels["b"][:, 24:36] = 2
    scores = score_confident(truth, labels).metrics
    assert scores["foreground_share"] == pytest.approx(0.25)
    assert scores["foreground_precision"] == pytest.approx(0.5)
    assert scores["background_share"] == pytest.approx(0.125)
    assert scores["background_precision"] == 1
    assert scores["recall"]["dog"] == pytest.approx(0.5)
    assert scores["iou"]["dog"] == pytest.approx(12 / (24 + 12))
    assert scores["iou"]["cat"] == 0
    assert np.sum(scores["confusion"]) == 2 * SIZE[0] * SIZE[1]


def affinity_scores(truth: Truth, stencil: torch.Tensor) -> Scored:
    affinities = {image_id: stencil.half().numpy() for image_id in MASKS}
    broad = {image_id: cams_of(mask, inside=0.75, outside=0.0) for image_id, mask in MASKS.items()}
    for cams in broad.values():
        cams.scores[:, :, 8:] = 0.0  # the evidence covers a third of the object
    return score_affinities(
        truth,
        affinities,
        broad,
        grid=AffinityGrid(5, 1.0, "full"),
        walk=WALK,
        device=torch.device("cpu"),
    )


def test_true_affinities_leak_nothing_and_reach_the_truth(truth: Truth) -> None:
    grid = torch.from_numpy(MASKS["a"][4::8, 4::8].copy())
    scores = affinity_scores(truth, oracle_stencil(grid)).metrics
    assert scores["equal"] == pytest.approx(1)
    assert scores["different"] == 0
    assert scores["ceiling"]["miou"] > 0.9  # the border is blurred by half a cell


def test_leak_is_measured_after_the_power(truth: Truth) -> None:
    uniform = torch.full((len(half_plane_offsets(5)), 4, 6), 0.5)
    scores = affinity_scores(truth, uniform).metrics
    assert scores["equal"] == pytest.approx(0.5**WALK.beta)
    assert scores["different"] == pytest.approx(0.5**WALK.beta)


def test_classifier_by_hand(tmp_path: Path) -> None:
    rows = []
    for name, labels in {"a": (0,), "b": (1,), "c": (0, 1)}.items():
        Image.new("RGB", (16, 16), "grey").save(tmp_path / f"{name}.png")
        rows.append(ImageRow(name, tmp_path / f"{name}.png", None, "val", False, labels, 16, 16, digest=""))

    class SaysTheSame(torch.nn.Module):
        backbone = SimpleNamespace(normalization=lambda image: image)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0]]).repeat(len(images), 1)

    compute = Compute(torch.device("cpu"), "float32")
    scores, images = score_classifier(SaysTheSame(), Manifest(CLASSES, tuple(rows)), compute)
    assert scores["average_precision"] == {"cat": pytest.approx(2 / 3), "dog": pytest.approx(2 / 3)}
    assert scores["map"] == pytest.approx(2 / 3)
    assert scores["scored_images"] == 3
    labels = {
        ("a", 1): True,
        ("a", 2): False,
        ("b", 1): False,
        ("b", 2): True,
        ("c", 1): True,
        ("c", 2): True,
    }
    assert {(image.image, image.class_value): image.label for image in images} == labels
    assert {(image.class_value, image.score) for image in images} == {(1, 1.0), (2, 0.0)}
    assert {image.split for image in images} == {"val"}


# Per image


def checked(scored: Scored, path: Path) -> list[ImageConfusion]:
    """The confusions of images after a way through a file; their sum must be the confusion of the metrics."""
    write_confusions(path, scored.images)
    images, metrics = read_confusions(path, 3), scored.metrics.get("ceiling", scored.metrics)
    total = sum(image.matrix(3) for image in images if image.split == metrics["split"])
    expected = np.array(metrics["confusion"])
    np.testing.assert_array_equal(total[:, : expected.shape[1]], expected)
    assert total.sum() == expected.sum()
    return images


def test_the_images_add_up_to_the_metrics(truth: Truth, tmp_path: Path) -> None:
    cams = {image_id: cams_of(mask) for image_id, mask in MASKS.items()}
    undecided = {
        image_id: np.where(mask == 1, 255, mask).astype(np.uint8) for image_id, mask in MASKS.items()
    }
    shifted = {image_id: np.roll(mask, 5, 1) for image_id, mask in MASKS.items()}
    for scored in (
        score_masks(truth, shifted),
        score_cams(truth, cams),
        score_refined_cams(truth, cams, lambda image_id: torch.Tensor.float, [0.4, 0.6]),
        score_confident(truth, undecided),
        affinity_scores(truth, torch.ones(34, 4, 6)),
    ):
        images = checked(scored, tmp_path / "images.tsv")
        assert [(image.image, image.split) for image in images] == [("a", "train"), ("b", "train")]


def test_each_image_has_its_own_confusion(truth: Truth, tmp_path: Path) -> None:
    shifted = {"a": MASKS["a"], "b": np.roll(MASKS["b"], 6, 1)}
    right, wrong = checked(score_masks(truth, shifted), tmp_path / "images.tsv")
    np.testing.assert_array_equal(right.matrix(3)[:, :3], np.diag([32 * 24, 32 * 24, 0]))
    iou = class_iou(torch.from_numpy(wrong.matrix(3)[:, :3]))
    assert iou[2].item() == pytest.approx(18 / 30)


def test_undecided_pixels_are_predicted_as_255(truth: Truth) -> None:
    labels = {image_id: np.full(SIZE, 255, np.uint8) for image_id in MASKS}
    assert {row[1] for image in score_confident(truth, labels).images for row in image.counts} == {255}


def test_images_of_all_splits_are_in_one_table(manifest: Manifest, tmp_path: Path) -> None:
    scored = score_splits(manifest, {"train": MASKS, "val": {"c": left_half(2)}})
    assert (scored.metrics["split"], scored.metrics["scored_images"], scored.metrics["miou"]) == (
        "train",
        2,
        1,
    )
    assert (scored.metrics["val"]["split"], scored.metrics["val"]["scored_images"]) == ("val", 1)
    assert scored.metrics["val"]["iou"] == {"background": 1, "cat": 0, "dog": 0}
    images = checked(scored, tmp_path / "images.tsv")
    assert [(image.image, image.split) for image in images] == [("a", "train"), ("b", "train"), ("c", "val")]
    assert score_splits(manifest, {"val": MASKS}).metrics["miou"] == 1


def test_threads_change_nothing(truth: Truth) -> None:
    cams = {image_id: cams_of(mask) for image_id, mask in MASKS.items()}
    alone, together = score_cams(truth, cams), score_cams(truth, cams, threads=3)
    assert alone.metrics == together.metrics
    assert [image.image for image in together.images] == ["a", "b"]


def test_without_masks_everything_is_null(no_truth: Truth, tmp_path: Path) -> None:
    results = [
        score_masks(no_truth, MASKS),
        score_cams(no_truth, {}),
        score_confident(no_truth, {}),
        affinity_scores(no_truth, torch.ones(34, 4, 6)),
    ]
    for scored in results:
        assert scored.metrics["scored_images"] == 0
        assert scored.images == []
        write_json(tmp_path / "scores.json", scored.metrics)
    assert math.isnan(results[0].metrics["miou"])
    assert results[1].metrics["constant"] is None
    assert json.loads((tmp_path / "scores.json").read_text())["equal"] is None
