"""Quality per image: written once, read back whole, and refused where it is not what the scoring wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wsss.method.metrics import confident_confusion, confusion_matrix, mean_iou
from wsss.results import (
    ArtifactError,
    ClassifiedImage,
    ImageConfusion,
    image_miou,
    read_classified,
    read_confusions,
    write_classified,
    write_confusions,
)
from wsss.results.confusions import image_iou

HEAD = "image\tsplit\ttrue\tpredicted\tpixels\n"


def confusion_of(seed: int, n_values: int = 4, *, undecided: bool = False) -> NDArray[np.int64]:
    """Sparse random counts (C, C), or (C, C + 1)."""
    generator = np.random.default_rng(seed)
    shape = (n_values, n_values + undecided)
    return generator.integers(0, 1000, shape) * (generator.random(shape) < 0.5)


def test_the_file_is_a_table_of_the_pairs_that_occur(tmp_path: Path) -> None:
    confusion = np.array([[5, 0, 2], [0, 7, 0]])
    write_confusions(tmp_path / "a.tsv", [ImageConfusion.of("photo 1", "train", confusion)])
    assert (tmp_path / "a.tsv").read_text() == (
        HEAD + "photo 1\ttrain\t0\t0\t5\nphoto 1\ttrain\t0\t255\t2\nphoto 1\ttrain\t1\t1\t7\n"
    )


@pytest.mark.parametrize("undecided", [False, True])
def test_confusions_come_back_by_image(tmp_path: Path, undecided: bool) -> None:
    names = ["b", "a", 'a "b"\tc', "line\nbreak", "\u2028"]
    written = {name: confusion_of(seed, undecided=undecided) for seed, name in enumerate(names)}
    images = [ImageConfusion.of(name, "val", confusion) for name, confusion in written.items()]
    write_confusions(tmp_path / "a.tsv", images)
    found = read_confusions(tmp_path / "a.tsv", 4)
    assert [image.image for image in found] == names
    assert {image.split for image in found} == {"val"}
    for image in found:
        expected = written[image.image] if undecided else np.pad(written[image.image], ((0, 0), (0, 1)))
        np.testing.assert_array_equal(image.matrix(4), expected)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(0, 999), st.booleans())
def test_matrices_of_label_maps_survive(n_values: int, seed: int, confident: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth, labels = (
        torch.randint(n_values, (6, 7), generator=generator, dtype=torch.uint8) for _ in range(2)
    )
    truth[0], labels[:, 0] = 255, 255 if confident else 0
    counted = (confident_confusion if confident else confusion_matrix)(labels, truth, n_values)
    matrix = ImageConfusion.of("a", "train", counted.numpy()).matrix(n_values)
    np.testing.assert_array_equal(matrix[:, : counted.shape[1]], counted)
    assert matrix.sum() == 35


def test_miou_is_that_of_each_image() -> None:
    images = [ImageConfusion.of(str(seed), "train", confusion_of(seed)) for seed in range(5)]
    found = image_miou(images, 4)
    for seed in range(5):
        assert found[str(seed)] == pytest.approx(mean_iou(torch.from_numpy(confusion_of(seed))).item())


def test_undecided_pixels_count_against_the_true_class() -> None:
    image = ImageConfusion.of("a", "train", np.array([[4, 0, 0, 4], [0, 1, 0, 3], [0, 0, 0, 0]]))
    np.testing.assert_allclose(image_iou([image], 3)["a"], [4 / 8, 1 / 4, np.nan])
    assert image_miou([image], 3) == {"a": pytest.approx(0.375)}


def test_an_image_without_known_truth_is_left_out(tmp_path: Path) -> None:
    nothing = ImageConfusion.of("a", "train", np.zeros((3, 3), np.int64))
    write_confusions(tmp_path / "a.tsv", [nothing])
    assert read_confusions(tmp_path / "a.tsv", 3) == []
    assert image_miou([nothing], 3) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"a.tsv: empty or cut short"),
        (HEAD + "a\ttrain\t0\t0\t5", r"a.tsv: empty or cut short"),
        ("image\tpixels\n", r"a.tsv:1: columns \['image', 'pixels'\], expected"),
        (HEAD + "a\ttrain\t0\t0\n", r"a.tsv:2: 4 columns, expected 5"),
        (HEAD + "a\ttrain\t0\tx\t5\n", r"a.tsv:2: .*'x'"),
        (HEAD + "a\ttrain\t0\t3\t5\n", r"a.tsv:2: true 0 and predicted 3, expected mask values below 3"),
        (HEAD + "a\ttrain\t255\t0\t5\n", r"a.tsv:2: true 255"),
        (HEAD + "a\ttrain\t-1\t0\t5\n", r"a.tsv:2: true -1"),
        (HEAD + "a\ttrain\t0\t0\t0\n", r"a.tsv:2: 0 pixels, expected 1 to"),
        (HEAD + "a\ttrain\t0\t0\t5\n" * 2, r"a.tsv:3: a train 0 0 is there twice"),
    ],
)
def test_other_files_are_refused_by_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(ArtifactError, match=words):
        read_confusions(tmp_path / "a.tsv", 3)


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("old")

    def images():
        yield ImageConfusion.of("a", "train", confusion_of(0))
        raise RuntimeError("the scoring broke")

    with pytest.raises(RuntimeError, match="the scoring broke"):
        write_confusions(tmp_path / "a.tsv", images())
    assert (tmp_path / "a.tsv").read_text() == "old"


def test_a_classifiers_scores_come_back(tmp_path: Path) -> None:
    score = float(np.float32(1 / 3))
    images = [ClassifiedImage("a", "val", 1, score, True), ClassifiedImage("a", "val", 2, -7.5, False)]
    write_classified(tmp_path / "a.tsv", images)
    lines = (tmp_path / "a.tsv").read_text().splitlines()
    assert lines == [
        "image\tsplit\tclass_value\tscore\tlabel",
        "a\tval\t1\t0.333333343\t1",
        "a\tval\t2\t-7.5\t0",
    ]
    found = read_classified(tmp_path / "a.tsv")
    assert [np.float32(image.score) for image in found] == [np.float32(image.score) for image in images]
    assert [image[:3] + image[4:] for image in found] == [image[:3] + image[4:] for image in images]


@pytest.mark.parametrize(
    "cells", ["a\tval\t0\t1\t1", "a\tval\t1\tnan\t1", "a\tval\t1\t0.5\tyes", "a\tval\tx\t1\t1"]
)
def test_other_scores_are_refused(tmp_path: Path, cells: str) -> None:
    (tmp_path / "a.tsv").write_text(f"image\tsplit\tclass_value\tscore\tlabel\n{cells}\n")
    with pytest.raises(ArtifactError, match=r"a\.tsv:2: "):
        read_classified(tmp_path / "a.tsv")
