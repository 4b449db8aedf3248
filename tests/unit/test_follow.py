"""What `auto` stands for: values that follow the sizes and the number of the photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.stages.inference.refinement import kernels
from wsss.study.config import ConfigError, DenseCrf, Folder, Study, load_study
from wsss.study.config.fields import settled
from wsss.study.counts import image_counts, shard_count, shard_counts
from wsss.study.follow import (
    crop_size,
    epochs,
    input_scale,
    median_longest_side,
    settled_section,
    settled_values,
)
from wsss.study.params import rule_params
from wsss.study.swept import swept

AUTO: dict[str, Any] = {
    "classifier": {"crop_size": "auto", "epochs": "auto"},
    "affinitynet": {"input_scale": "auto", "epochs": "auto"},
    "irnet": {"input_scale": "auto", "epochs": "auto"},
    "segmenter": {"crop_size": "auto", "epochs": "auto"},
}


@pytest.mark.parametrize(
    ("longest_side", "scale", "crop"),
    [(128, 4.0, 128), (256, 2.0, 224), (320, 1.6, 288), (500, 1.0, 448), (512, 1.0, 448), (1000, 0.51, 448)],
)
def test_scale_and_crop_follow_the_longest_side(longest_side: int, scale: float, crop: int) -> None:
    assert (input_scale(longest_side), crop_size(longest_side)) == (scale, crop)


@settings(deadline=None)
@given(st.integers(32, 6000))
def test_the_grid_has_about_64_cells_at_any_size(longest_side: int) -> None:
    assert input_scale(longest_side) * longest_side / 8 == pytest.approx(64, rel=0.05)


@settings(deadline=None)
@given(st.integers(16, 6000))
def test_crops_are_possible_ones(longest_side: int) -> None:
    study = load_study({"segmenter": {"crop_size": crop_size(longest_side)}})
    assert study.segmenter.crop_size == crop_size(longest_side)


def test_a_few_more_images_change_no_value() -> None:
    few = [(375, 500)] * 40 + [(333, 500)] * 21
    assert median_longest_side(few) == median_longest_side([*few, (100, 120), (3000, 4000)]) == 500
    sections = [settled_section(load_study(AUTO).affinitynet, sizes) for sizes in (few, [*few, (375, 496)])]
    assert sections[0].input_scale == sections[1].input_scale == 1.0


def test_numbers_that_are_written_are_kept() -> None:
    study = Study()
    for section in (study.classifier, study.affinitynet, study.segmenter):
        assert settled_section(section, [(20, 3000)]) is section
    half = load_study({"affinitynet": {"input_scale": "auto", "epochs": 2}}).affinitynet
    assert settled_section(half, [(256, 200)]).epochs == 2


def test_irnet_follows_as_affinitynet_does() -> None:
    study, sizes = load_study(AUTO), [(192, 256)] * 500
    one, other = settled_section(study.affinitynet, sizes), settled_section(study.irnet, sizes)
    assert (other.input_scale, other.epochs) == (one.input_scale, one.epochs) == (2.0, 8.0)


def test_the_classifier_crops_what_it_has_resized() -> None:
    section = load_study({"classifier": {"crop_size": "auto", "longest_side": 256}}).classifier
    assert settled_section(section, [(900, 1200)]).crop_size == 224


@pytest.mark.parametrize(
    ("images", "expected"), [(3131, (3.1, 1.3, 6.1)), (437, (22.0, 9.2, 30.0)), (150, (30.0, 27.0, 30.0))]
)
def test_epochs_follow_the_number_of_images(images: int, expected: tuple[float, ...]) -> None:
    study = load_study(AUTO)
    sections = (study.classifier, study.affinitynet, study.segmenter)
    assert tuple(settled_section(section, [(9, 9)] * images).epochs for section in sections) == expected


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(1, 100_000), st.integers(1, 64))
def test_epochs_stay_within_their_bounds(steps: int, images: int, batch_size: int) -> None:
    assert 1 <= epochs(steps, images, batch_size) <= 30


def test_what_was_settled_is_named_by_key() -> None:
    section = load_study(AUTO).affinitynet
    found = settled_values(section, settled_section(section, [(192, 256)] * 500), "affinitynet")
    assert found == {"affinitynet.input_scale": 2.0, "affinitynet.epochs": 8.0}
    assert settled_values(Study().affinitynet, Study().affinitynet, "affinitynet") == {}


def test_an_open_value_is_no_number() -> None:
    assert settled(8.0) == 8.0
    with pytest.raises(ValueError, match="before it is settled"):
        settled(load_study(AUTO).affinitynet.input_scale)


# Dense CRF


def test_distances_are_shares_of_each_image_or_pixels_of_all() -> None:
    shares = DenseCrf(gaussian=(0.01, 3), bilateral=(0.16, 10, 3), distances="share")
    assert kernels(shares, 500) == {"iterations": 10, "gaussian": (5.0, 3.0), "bilateral": (80.0, 10.0, 3.0)}
    assert kernels(shares, 250)["bilateral"] == (40.0, 10.0, 3.0)
    assert kernels(DenseCrf(), 250) == kernels(DenseCrf(), 500)
    assert kernels(DenseCrf(), 500)["bilateral"] == DenseCrf().bilateral


# Shards


@pytest.mark.parametrize(("images", "count"), [(0, 1), (190, 1), (353, 1), (354, 2), (700, 2), (10582, 32)])
def test_shards_hold_about_250_images(images: int, count: int) -> None:
    assert shard_count(images) == count


@settings(deadline=None)
@given(st.integers(400, 200_000))
def test_a_tenth_more_images_rarely_change_the_number_of_shards(images: int) -> None:
    assert 250 / 2**0.5 - 1 <= images / shard_count(images) <= 250 * 2**0.5 + 1


def test_shards_that_are_written_are_kept() -> None:
    study = load_study({"shards": {"train": "auto", "val": 5}})
    assert dict(shard_counts(study)) == {"train": 2, "val": 5, "test": 1}
    assert shard_counts(Study()) == Study().shards
    assert rule_params(study, "prepare_dataset")["shards"] == {"train": 2, "val": 5, "test": 1}


@pytest.mark.parametrize("split", ["train", "val"])
def test_more_shards_than_images_are_refused(split: str) -> None:
    """Each is a job of every stage: the plan alone of so many jobs takes more memory than there is."""
    few: dict[str, Any] = {"kind": "shapes", "train": 300, "val": 200}
    images = few[split]
    study = load_study({"name": "tiny", "dataset": few, "shards": {split: images}})
    assert shard_counts(study)[split] == images
    study = load_study({"name": "tiny", "dataset": few, "shards": {split: 300000}})
    said = rf"shards\.{split}: 300000, expected at most one for each of the {images} images in {split}"
    with pytest.raises(ConfigError, match=said):
        shard_counts(study)


def test_more_shards_than_photographs_to_predict_are_refused(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"{number}.jpg").touch()
    study = load_study({"name": "tiny", "predict": {"images": str(tmp_path), "shards": 71}})
    with pytest.raises(
        ConfigError, match=r"predict\.shards: 71, expected at most one for each of the 70 images"
    ):
        shard_counts(study)
    assert shard_counts(load_study({"name": "tiny", "predict": {"images": str(tmp_path), "shards": 70}}))


def test_images_are_counted_in_lists_and_folders(tmp_path: Path) -> None:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "images" / ("deep" if number % 2 else ".") / f"{number}.jpg").touch()
    (tmp_path / "train.txt").write_text("a\nb c\n\nd\n")
    (tmp_path / "val.txt").write_text("e")
    whole = Folder(kind="folder", root=str(tmp_path))
    listed = Folder.model_validate(whole.model_dump() | {"splits": {"train": "train.txt", "val": "val.txt"}})
    assert image_counts(whole) == {"train": 18, "val": 2}
    assert image_counts(listed) == {"train": 3, "val": 1}
    assert image_counts(Folder(kind="folder", root=str(tmp_path / "none"))) == {"train": 0, "val": 0}


def test_data_sets_that_may_be_downloaded_count_as_published(tmp_path: Path, voc_tree: Any) -> None:
    voc = load_study({"dataset": {"kind": "voc12", "root": str(tmp_path / "none")}}).dataset
    assert image_counts(voc) == {"train": 10582, "val": 1449, "test": 1456}
    coco = load_study({"dataset": {"kind": "coco", "root": str(tmp_path / "none"), "year": 2017}}).dataset
    assert image_counts(coco) == {"train": 118287, "val": 5000}
    assert image_counts(voc_tree.config(train="train")) == {"train": 4, "val": 3, "test": 3}


# What a sweep tries


def test_written_values_of_the_walk_are_swept_where_others_are_chosen() -> None:
    chosen = load_study({"random_walk": {"background": {"alpha": "auto"}, "beta": 5.5, "t": 50}})
    assert (5.5 in swept(chosen).betas, 50 in swept(chosen).ts) == (True, True)
    assert swept(chosen).alphas == Study().sweep.alphas
    assert swept(load_study({"random_walk": {"beta": 5.5, "t": 50}})) == Study().sweep


@pytest.mark.parametrize(
    ("walk", "keys"),
    [
        ({}, ()),
        ({"background": {"alpha": "auto"}, "beta": "auto", "t": "auto"}, ("alpha", "beta", "t")),
        ({"background": {"kind": "constant", "score": "auto"}}, ("score",)),
        ({"t": "auto"}, ("t",)),
    ],
)
def test_the_keys_that_say_auto_are_chosen(walk: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert load_study({"random_walk": walk}).random_walk.chosen_keys == keys
