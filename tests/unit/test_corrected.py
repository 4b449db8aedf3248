"""Corrected masks in place of pseudo masks: which files count, what is refused, and that they are learned."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wsss.data import DatasetError, ImageRow, Manifest, write_mask
from wsss.data.exchange.cvat import write_cvat
from wsss.data.exchange.labelme import write_labelme
from wsss.models.segmenter import restore_segmenter
from wsss.results import read_masks, write_masks
from wsss.runtime.compute import Compute
from wsss.stages.corrected import corrected_masks
from wsss.stages.segmenter import CorrectedMasks, learned_masks, train_segmenter
from wsss.stages.training.run import Run
from wsss.study.config import Segmenter
from wsss.study.sources import corrected_files

NAMES = ("cat", "dog")
SIZE = (12, 16)
CPU = Compute(torch.device("cpu"), "float32")


def row(image_id: str) -> ImageRow:
    return ImageRow(image_id, Path(f"{image_id}.jpg"), None, "train", False, (0,), *SIZE, "")


IMAGES = Manifest(NAMES, tuple(row(name) for name in ("a", "b", "c", "sub/d")))


def square(value: int, side: int = 5) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[2 : 2 + side, 3 : 3 + side] = value
    return mask


def read(folder: Path) -> dict[str, np.ndarray]:
    return dict(corrected_masks(folder, [Path(file) for file in corrected_files(folder)], IMAGES))


def problems(folder: Path) -> str:
    with pytest.raises(DatasetError) as error:
        read(folder)
    return str(error.value)


def test_masks_of_all_three_kinds_are_read(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", square(2))
    write_mask(tmp_path / "sub" / "d.png", square(255))
    write_labelme(tmp_path / "b.json", square(1), tmp_path / "b.jpg", NAMES)
    edit(tmp_path / "b.json")
    write_cvat(tmp_path / "from_cvat.xml", [("c.jpg", square(2, side=6)), ("of_val.jpg", square(1))], NAMES)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    Image.new("RGB", SIZE).save(tmp_path / "photograph.jpg")
    found = read(tmp_path)
    assert set(found) == {"a", "b", "c", "sub/d"}
    np.testing.assert_array_equal(found["a"], square(2))
    np.testing.assert_array_equal(found["c"], square(2, side=6))
    np.testing.assert_array_equal(found["sub/d"], square(255))
    np.testing.assert_array_equal(found["b"] == 1, square(2) > 0)


def edit(path: Path) -> None:
    """Move a corner by nothing that shows, as a person's hand would at least do."""
    content = json.loads(path.read_text())
    content["shapes"][0]["points"][0][0] += 0.1
    path.write_text(json.dumps(content))


def test_exported_files_that_nobody_changed_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in ("a", "b"):
        write_labelme(tmp_path / f"{name}.json", square(1), tmp_path / f"{name}.jpg", NAMES)
    edit(tmp_path / "b.json")
    saved_again = json.loads((tmp_path / "a.json").read_text())
    saved_again["version"] = "5.9"
    saved_again["shapes"] = [{**shape, "description": None} for shape in saved_again["shapes"]]
    (tmp_path / "a.json").write_text(json.dumps(saved_again))
    assert set(read(tmp_path)) == {"b"}
    assert "corrected masks: 1 of 4 images of train; 1 files" in caplog.text


def test_everything_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", square(3))
    write_mask(tmp_path / "b.png", np.zeros((16, 12), np.uint8))
    Image.new("RGB", SIZE[::-1], "red").save(tmp_path / "c.png")
    write_mask(tmp_path / "misspelt.png", square(1))
    write_mask(tmp_path / "sub" / "d.png", square(1))
    (tmp_path / "sub" / "d.json").write_text("{}")
    (tmp_path / "x.xml").write_text("<html/>")
    said = problems(tmp_path)
    assert f"segmenter.corrected: {tmp_path}" in said
    assert "a.png: values [3], expected 0 … 2 and 255" in said
    assert "b.png: 12 x 16 pixels, but its image has 16 x 12" in said
    assert "c.png: holds colours, such as [255, 0, 0]" in said
    assert "misspelt.png: train has no image 'misspelt'" in said
    assert "d.json: no labelme file: " in said
    assert 'x.xml: no file of "CVAT for images 1.1"' in said


def test_two_masks_of_an_image(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", square(1))
    write_cvat(tmp_path / "b.xml", [("a.jpg", square(2))], NAMES)
    assert "b.xml: 'a' is also in " in problems(tmp_path)


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    write_mask(tmp_path / "in" / "a.png", square(1))
    write_mask(tmp_path / "in" / "z.png", square(1))
    files = [Path(file) for file in corrected_files(tmp_path / "in")]
    with pytest.raises(DatasetError):
        write_masks(tmp_path / "train.h5", corrected_masks(tmp_path / "in", files, IMAGES))
    assert not (tmp_path / "train.h5").exists()


def test_corrected_masks_take_the_place_of_pseudo_masks(tmp_path: Path) -> None:
    write_masks(tmp_path / "pseudo.h5", [(name, square(1)) for name in "abc"])
    write_masks(tmp_path / "corrected.h5", [("b", square(2))])
    masks = CorrectedMasks(read_masks(tmp_path / "pseudo.h5"), read_masks(tmp_path / "corrected.h5"))
    for seen in (masks, pickle.loads(pickle.dumps(masks))):
        assert list(seen) == ["a", "b", "c"]
        assert [seen[name].max() for name in seen] == [1, 2, 1]
    assert masks.summary() == "corrected masks of 1 of 3 images, which change 13.0% of their pixels"


def test_the_network_learns_from_them(pictures, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pseudo masks call everything background; the corrected masks of all images show the truth."""
    caplog.set_level(logging.INFO)
    section = Segmenter(weights="none", epochs=1, batch_size=4, crop_size=32, jitter=(0, 0, 0, 0))
    nothing = {name: np.zeros_like(mask) for name, mask in pictures.masks.items()}

    def trained(name: str, pseudo: dict[str, np.ndarray], corrected: dict[str, np.ndarray] | None):
        run = Run(tmp_path / f"{name}.pt", tmp_path / f"{name}.tsv", ("one", "two"), 0, CPU)
        train_segmenter(pictures.rows, learned_masks(pseudo, {}, corrected, section, {}), section, run)
        return restore_segmenter(run.checkpoint).network.state_dict()

    expected, found = trained("truth", pictures.masks, None), trained("corrected", nothing, pictures.masks)
    without = trained("nothing", nothing, None)
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert not all(torch.equal(without[key], found[key]) for key in found)
    assert "corrected masks of 12 of 12 images, which change" in caplog.text
