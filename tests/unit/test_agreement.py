"""Masks and labels that disagree: every misunderstanding is found, with its cause and a fix that works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from wsss.data.agreement import compare_masks
from wsss.data.checks import CheckedMasks
from wsss.data.images import palette_image, voc_palette
from wsss.data.masks import facts_of
from wsss.data.problems import Problems

CLASSES = ("dog", "cat", "stop sign", "cow")
SETS = ([0], [1], [2], [3], [0, 1], [1, 2], [], [0], [3, 0], [2], [1], [0, 2, 3])
"""Class indices of the images."""

Change = Callable[[np.ndarray], np.ndarray]


def mask_of(labels: list[int]) -> np.ndarray:
    """A mask with a block of each class and a line of void."""
    mask = np.zeros((16, 48), np.uint8)
    for place, label in enumerate(labels):
        mask[3:12, 2 + 10 * place : 9 + 10 * place] = label + 1
        mask[12, 2 + 10 * place : 9 + 10 * place] = 255
    return mask


def compared(
    folder: Path,
    masks: list[np.ndarray],
    labels: list[list[int]] | None = None,
    classes: tuple[str, ...] = CLASSES,
    palettes: list[np.ndarray] | None = None,
) -> list[str]:
    """Save masks, compare them with labels, and return the problems."""
    folder.mkdir(exist_ok=True)
    paths, facts = {}, {}
    for number, mask in enumerate(masks):
        path = folder / f"{number:03}.png"
        image = palette_image(mask)
        if palettes:
            image.putpalette(palettes[number].tobytes())
        image.save(path)
        paths[path.stem], facts[path.stem] = path, facts_of(path, mask)
    problems = Problems()
    found = labels if labels is not None else [list(of_image) for of_image in SETS]
    by_id = dict(zip(paths, found, strict=True))
    compare_masks(classes, by_id, CheckedMasks(paths, facts), "masks", problems)
    return problems.lines()


def with_values(table: dict[int, int]) -> list[np.ndarray]:
    values = np.arange(256, dtype=np.uint8)
    for value, other in table.items():
        values[value] = other
    return [values[mask_of(list(labels))] for labels in SETS]


def test_masks_that_fit_are_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert compared(tmp_path, with_values({})) == []
    assert caplog.text == ""


def test_a_few_small_differences_are_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = [list(of_image) for of_image in SETS]
    labels[0], labels[5] = [0, 3], [1]
    assert compared(tmp_path, with_values({}), labels) == []
    assert caplog.text == ""


# Values that mean something else: the key that is printed makes masks fit

SHIFTED_UP = {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}
SHIFTED_DOWN = {0: 255, 1: 0, 2: 1, 3: 2, 4: 3}
VALUES: dict[str, tuple[dict[int, int], str]] = {
    "an exporter's `__ignore__` or `_background_` counts": (SHIFTED_UP, "all values are one too high"),
    "no background": (SHIFTED_DOWN, "all values are one too low"),
    "background last": ({**SHIFTED_DOWN, 0: 4, 255: 4}, "all values are one too low"),
    "alphabetical order": (
        {1: 3, 2: 1, 3: 4, 4: 2},
        "the values follow the alphabetical order of the classes",
    ),
    "reverse order": ({1: 4, 2: 3, 3: 2, 4: 1}, "the values follow the classes in reverse order"),
    "grey levels to look at": ({1: 60, 2: 120, 3: 180, 4: 240}, "the values have gaps"),
    "numbers of another list": ({1: 18, 2: 17, 3: 13, 4: 21}, "the values fit the labels only in this order"),
    "two classes exchanged": ({1: 2, 2: 1}, "the values fit the labels only in this order"),
    "background and a class exchanged": ({0: 2, 2: 0}, "the values fit the labels only in this order"),
}


@pytest.mark.parametrize("fault", VALUES)
def test_other_meanings_of_the_values(tmp_path: Path, fault: str) -> None:
    table, why = VALUES[fault]
    masks = with_values(table)
    (line,) = compared(tmp_path, masks)
    assert line.startswith(f"masks and labels disagree: masks: {why}")
    key = yaml.safe_load(re.findall(r"`(mask_values: {.*?})`", line)[0])["mask_values"]
    names = {"background": 0, "void": 255} | {name: value for value, name in enumerate(CLASSES, start=1)}
    meant = np.zeros(256, np.uint8)
    meant[list(key)] = [names[name] for name in key.values()]
    assert compared(tmp_path, [meant[mask] for mask in masks]) == []


def test_values_of_voc_for_some_of_its_classes(tmp_path: Path) -> None:
    classes = ("cow", "dog", "cat", "person")
    (line,) = compared(tmp_path, with_values({1: 10, 2: 12, 3: 8, 4: 15}), classes=classes)
    assert "the values are those of the 20 classes of VOC" in line
    assert "`mask_values: {0: background, 8: cat, 10: cow, 12: dog, 15: person, 255: void}`" in line


def test_names_that_yaml_reads_otherwise_are_quoted(tmp_path: Path) -> None:
    classes = ("no", "2024", "a: b", "cow")
    (line,) = compared(tmp_path, with_values({1: 60, 2: 120, 3: 180, 4: 240}), classes=classes)
    key = re.findall(r"`(mask_values: {.*?})`", line)[0]
    assert list(yaml.safe_load(key)["mask_values"].values())[1:-1] == list(classes)


# Faults of whole data sets


def test_a_single_class_in_white(tmp_path: Path) -> None:
    masks = [np.where(mask_of(list(labels)) % 255 > 0, 255, 0).astype(np.uint8) for labels in SETS]
    labels = [[0] if of_image else [] for of_image in SETS]
    (line,) = compared(tmp_path, masks, labels, ("cat",))
    assert "if white is cat: `mask_values: {0: background, 255: cat}`" in line
    (line,) = compared(tmp_path, [255 - mask for mask in masks], labels, ("cat",))
    assert "if black is cat: `mask_values: {0: cat, 255: background}`" in line


def test_several_classes_in_white_cannot_be_scored(tmp_path: Path) -> None:
    (line,) = compared(tmp_path, with_values({1: 255, 2: 255, 3: 255, 4: 255}))
    assert "they do not tell the classes apart" in line
    assert "`masks: null`" in line


def test_one_value_for_all_classes(tmp_path: Path) -> None:
    (line,) = compared(tmp_path, with_values({2: 1, 3: 1, 4: 1}))
    assert "all masks hold the value 1 for objects of any class" in line


def test_annotations_without_outlines(tmp_path: Path) -> None:
    (line,) = compared(tmp_path, with_values({1: 0, 2: 0, 3: 0, 4: 0, 255: 0}))
    assert "all masks are background alone, but 11 of their images have labels" in line


def test_blurred_edges(tmp_path: Path) -> None:
    masks = with_values({})
    for number, mask in enumerate(masks[:6]):
        mask[14] = np.arange(48) * 5 + number
    (line,) = compared(tmp_path, masks)
    assert "6 of 12 masks hold many values in between" in line
    assert "resize with nearest neighbour" in line


def test_numbers_of_objects(tmp_path: Path) -> None:
    masks = []
    for number in range(len(SETS)):
        mask = np.zeros((16, 80), np.uint8)
        for place in range(number % 7):
            mask[3:9, 2 + 10 * place : 9 + 10 * place] = place + 1
        masks.append(mask)
    (line,) = compared(tmp_path, masks)
    assert "the values count 1, 2, … anew in each mask, up to 6" in line


@pytest.mark.parametrize(("shift", "where"), [(1, "next"), (-1, "previous")])
def test_rows_that_have_slipped(tmp_path: Path, shift: int, where: str) -> None:
    labels = [list(SETS[(number - shift) % len(SETS)]) for number in range(len(SETS))]
    (line,) = compared(tmp_path, with_values({}), labels)
    assert f"the masks fit the labels of the {where} image" in line


def test_a_palette_of_its_own_in_each_file(tmp_path: Path) -> None:
    masks, palettes = [], []
    for number, labels in enumerate(SETS):
        order = np.arange(256)
        order[1:5] = 1 + np.random.default_rng(number).permutation(4)
        masks.append(np.argsort(order).astype(np.uint8)[mask_of(list(labels))])
        palettes.append(voc_palette()[order])
    (line,) = compared(tmp_path, masks, palettes=palettes)
    assert "the palettes of the masks differ: the value 1 has the colours " in line
    assert "`palette: voc`" in line


def test_the_colours_of_voc_in_another_order(tmp_path: Path) -> None:
    order = np.arange(256)
    order[1:5] = (3, 1, 4, 2)
    masks = [np.argsort(order).astype(np.uint8)[mask_of(list(labels))] for labels in SETS]
    (line,) = compared(tmp_path, masks, palettes=[voc_palette()[order]] * len(SETS))
    assert "the colours of the palettes are VOC's, but in another order" in line
    assert "`palette: voc`" in line


# Single classes and images


def test_a_class_that_no_mask_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (line,) = compared(tmp_path, with_values({1: 0}))
    assert "'dog' is a label of 5 images with masks, but no mask has its value 1" in line
    assert compared(tmp_path, with_values({4: 0})) == []
    assert "'cow' is a label of 3 images with masks, but no mask has its value 4" in caplog.text


def test_a_class_that_no_label_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = [[label for label in of_image if label != 3] for of_image in SETS]
    assert compared(tmp_path, with_values({}), labels) == []
    assert "3 masks have the value 4, 'cow', but none of their images has this label" in caplog.text
    labels = [[label for label in of_image if label] for of_image in SETS]
    (line,) = compared(tmp_path, with_values({}), labels)
    assert "5 masks have the value 1, 'dog', but none of their images has this label" in line


def test_labels_that_have_nothing_to_do_with_the_masks(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    labels = [sorted(rng.choice(4, 2, replace=False).tolist()) for _ in SETS]
    (line,) = compared(tmp_path, with_values({}), labels)
    assert re.search(r"labels and masks of the same image share \d+% of their classes \(00\d: labels", line)


def test_single_unknown_values_are_told_by_file(tmp_path: Path) -> None:
    masks = with_values({})
    masks[2][0, 0] = 9
    (line,) = compared(tmp_path, masks)
    assert line.endswith("002.png: values [9], expected 0 … 4 and 255")


def test_another_value_for_void(tmp_path: Path) -> None:
    masks = with_values({255: 254})
    (problem,) = compared(tmp_path, masks)
    showing = sum(254 in mask for mask in masks)
    assert f"{showing} masks hold the value 254, which is none of the classes" in problem
    assert "if it is void: `mask_values: {0: background, 1: " in problem
    assert "254: void}`" in problem


def test_masks_that_are_void_everywhere_tell_nothing(tmp_path: Path) -> None:
    assert compared(tmp_path, [np.full((9, 9), 255, np.uint8)] * len(SETS)) == []


def test_few_images_tell_nothing(tmp_path: Path) -> None:
    masks = [mask_of([1]), mask_of([0])]
    assert compared(tmp_path, masks, [[0], [1]]) == []
    assert compared(tmp_path / "none", [], []) == []
