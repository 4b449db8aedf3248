"""The drawn data set of the default study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss.data import Manifest, read_image, read_mask
from wsss.data.scenes import CLASSES, draw_scene
from wsss.data.scenes.heads import HEADS
from wsss.data.shapes import draw_shapes
from wsss.method.labels import IGNORE
from wsss.stages.dataset import prepare
from wsss.study.config import Folder, Shapes

SIZE = 64


def shapes(**changes: int) -> Shapes:
    return Shapes(**{"train": 4, "val": 2, "size": SIZE, "seed": 7} | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("shapes")
    return folder, prepare(shapes(), folder)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[np.ndarray, np.ndarray]]:
    return [draw_scene(np.random.default_rng(number), 96) for number in range(40)]


def test_the_manifest(drawn: tuple[Path, Manifest]) -> None:
    folder, manifest = drawn
    assert manifest.class_names == CLASSES
    assert [row.id for row in manifest.split("train")] == [f"train_{index:05d}" for index in range(4)]
    assert [row.id for row in manifest.split("val")] == [f"val_{index:05d}" for index in range(2)]
    for row in manifest:
        assert row.image.is_relative_to(folder)
        image, mask = read_image(row.image), read_mask(row.mask)
        assert image.shape == (row.height, row.width, 3)
        assert mask.shape == (row.height, row.width)
        assert max(mask.shape) == SIZE
        assert set(row.labels) == {int(value) - 1 for value in np.unique(mask)} - {-1, IGNORE - 1}
        assert row.labels
        assert row.scored == (row.split == "train")


def test_the_folder_is_a_data_set_like_any_other(drawn: tuple[Path, Manifest]) -> None:
    folder, manifest = drawn
    config = Folder(
        kind="folder",
        root=str(folder),
        masks="masks",
        splits={"train": "splits/train.txt", "val": "splits/val.txt"},
    )
    assert prepare(config, folder) == manifest
    assert prepare(config.model_copy(update={"masks": None}), folder) == manifest.without_masks()


def test_the_same_seed_draws_the_same_bytes(drawn: tuple[Path, Manifest], tmp_path: Path) -> None:
    prepare(shapes(), tmp_path)
    assert contents(tmp_path) == contents(drawn[0])


def test_another_seed_draws_other_images(drawn: tuple[Path, Manifest], tmp_path: Path) -> None:
    other = prepare(shapes(seed=8), tmp_path)
    assert {row.digest for row in other}.isdisjoint(row.digest for row in drawn[1])


def test_images_do_not_depend_on_their_number(drawn: tuple[Path, Manifest], tmp_path: Path) -> None:
    digests = {row.id: row.digest for row in drawn[1]}
    larger = {row.id: row.digest for row in prepare(shapes(train=6, val=3), tmp_path)}
    assert larger.keys() > digests.keys()
    assert {image_id: larger[image_id] for image_id in digests} == digests
    assert len(set(larger.values())) == len(larger)
    prepare(shapes(), tmp_path)
    assert contents(tmp_path) == contents(drawn[0])


def test_masks_carry_the_palette(drawn: tuple[Path, Manifest]) -> None:
    with Image.open(drawn[1].rows[0].mask) as mask:
        assert mask.mode == "P"
        assert mask.getpalette()[:6] == [0, 0, 0, 128, 0, 0]


def test_scenes_are_bytes_and_masks_hold_only_classes(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for image, mask in scenes:
        assert image.dtype == mask.dtype == np.uint8
        assert image.shape[:2] == mask.shape
        assert image.std() > 15
        assert set(np.unique(mask)) <= {*range(len(CLASSES) + 1), IGNORE}


def test_every_class_and_several_at_once_appear(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    seen = [set(np.unique(mask)) - {0, IGNORE} for _, mask in scenes]
    assert set.union(*seen) == set(range(1, len(CLASSES) + 1))
    assert max(map(len, seen)) == 3
    assert min(map(len, seen)) >= 1


def test_segments_meet_only_across_a_border(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for _, mask in scenes:
        for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):
            assert ((one == other) | (one == IGNORE) | (other == IGNORE)).all()
        assert (mask == IGNORE).mean() < 0.15


def test_animals_are_neither_specks_nor_everything(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    shares = [np.isin(mask, range(1, len(CLASSES) + 1)).mean() for _, mask in scenes]
    assert 0.15 < np.mean(shares) < 0.4
    assert max(shares) < 0.75


@pytest.mark.parametrize("name", CLASSES)
def test_heads_are_small_and_differ(name: str) -> None:
    v, u = np.mgrid[-1.5:1.5:60j, -1.5:1.5:60j].astype(np.float32)
    heads = {kind: np.stack([field < 0 for field, _ in HEADS[kind](u, v).layers]).any(0) for kind in CLASSES}
    inside = HEADS[name](u, v).outline < 0
    assert 2.5 < inside.sum() * (3 / 60) ** 2 < 4.2  # about a disc of radius 1
    assert all((heads[name] != heads[other])[inside].mean() > 0.1 for other in CLASSES if other != name)


def test_reading_without_masks_removes_none(tmp_path: Path) -> None:
    config = Shapes(train=3, val=1, size=SIZE)
    folder = draw_shapes(config, tmp_path)
    for masks in (None, "masks"):
        prepare(folder.model_copy(update={"masks": masks}), tmp_path)
        assert len(list((tmp_path / "masks").iterdir())) == 4
