from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wsss.data import ImageRow, Manifest, write_mask
from wsss.method.metrics import confusion_matrix
from wsss.report.exhibits import best_and_worst, exhibits_of
from wsss.results import Cams, ImageConfusion

SIZE = (16, 24)
SHARES = {"a": 12, "b": 24, "c": 0, "d": 18}
"""Columns, of 24, in which a prediction of class 1 is right; the rest it leaves to the background."""

TRUTH = np.ones(SIZE, np.uint8)


def prediction(image_id: str) -> np.ndarray:
    return np.where(np.arange(24) < SHARES[image_id], TRUTH, 0).astype(np.uint8)


def confusion(image_id: str, split: str = "train") -> ImageConfusion:
    counts = confusion_matrix(torch.from_numpy(prediction(image_id)), torch.from_numpy(TRUTH), 2)
    return ImageConfusion.of(image_id, split, counts.numpy())


SCORED = [confusion(image_id) for image_id in SHARES]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    rows = []
    for image_id in SHARES:
        image, mask = tmp_path / f"{image_id}.jpg", tmp_path / f"{image_id}.png"
        Image.new("RGB", SIZE[::-1]).save(image)
        write_mask(mask, TRUTH)
        rows.append(ImageRow(image_id, image, mask, "train", True, (0,), *SIZE, digest=""))
    unscored = ImageRow(
        "e", tmp_path / "none.jpg", tmp_path / "e.png", "train", False, (0,), *SIZE, digest=""
    )
    return Manifest(("cat",), (*rows, unscored))


def picked(
    manifest: Manifest, count: int, scored: list[ImageConfusion] = SCORED
) -> tuple[list[str], list[str]]:
    best, worst = best_and_worst(manifest, "train", scored, count, "masks")
    return [row.id for row in best.rows], [row.id for row in worst.rows]


def test_best_and_worst_by_miou(manifest: Manifest) -> None:
    assert picked(manifest, 1) == (["b"], ["c"])
    assert picked(manifest, 2) == (["b", "d"], ["c", "a"])


def test_images_of_other_splits_do_not_count(manifest: Manifest) -> None:
    assert picked(manifest, 1, [*SCORED[:1], confusion("b", "val"), *SCORED[2:]]) == (["d"], ["c"])


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_no_image_is_in_both(manifest: Manifest, count: int) -> None:
    best, worst = picked(manifest, count)
    assert not set(best) & set(worst)
    assert max(len(best), len(worst)) <= count
    if count == 100:
        assert sorted(best + worst) == sorted(SHARES)


def test_selection_says_what_it_is(manifest: Manifest) -> None:
    best, worst = best_and_worst(manifest, "train", SCORED, 2, "pseudo masks")
    assert (best.title, worst.title) == ("Best pseudo masks", "Worst pseudo masks")
    assert best.subtitle == "2 of 4 scored images of train, by the mIoU of each"
    assert best.value_names == ("background", "cat")


def test_without_true_masks_the_first_and_the_last(manifest: Manifest) -> None:
    assert picked(manifest.without_masks(), 2, []) == (["a", "b"], ["e", "d"])
    best, worst = best_and_worst(manifest, "train", [], 2, "masks")
    assert (best.title, worst.title) == ("First images", "Last images")
    assert best.subtitle == "2 of 5 images of train, without true masks to rank them by"
    masks = {name: prediction(name) for name in SHARES}
    (shown, _) = exhibits_of(best, {"prediction": masks}, {"prediction": []})
    assert shown.miou == {}
    assert shown.headings == ["photograph", "prediction"]  # nothing true is shown of images without a score


def test_exhibits_show_masks_truth_and_scores(manifest: Manifest) -> None:
    best, _ = best_and_worst(manifest, "train", SCORED, 2, "masks")
    masks = {name: prediction(name) for name in SHARES}
    cams = {name: Cams(np.zeros((1, *SIZE), np.float16), np.array([1])) for name in SHARES}
    first, second = exhibits_of(best, {"confident": masks, "prediction": masks}, {"prediction": SCORED}, cams)
    assert first.headings == ["photograph", "CAM", "confident", "prediction", "truth"]
    assert first.miou == {"prediction": 1.0}
    assert second.miou["prediction"] == pytest.approx(0.75 / 2)  # the background appears, and is wrong
    assert np.array_equal(second.masks["prediction"], prediction("d"))
    assert np.array_equal(first.masks["truth"], TRUTH)
