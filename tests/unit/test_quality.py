"""Quality without truth: the signals of a mask, the order that they give, and how well it ranks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from wsss.data import ImageRow, Manifest
from wsss.report.exhibits import first_of
from wsss.report.figures import quality_table
from wsss.results import (
    SIGNALS,
    ArtifactError,
    ImageSignals,
    RankedImage,
    read_ranking,
    read_signals,
    write_ranking,
    write_signals,
)
from wsss.stages.quality.ranking import rank_images, summarize_classes
from wsss.stages.quality.signals import (
    agreement,
    kept_to,
    margins,
    mask_signals,
    near_outlines,
    other_backgrounds,
    walk_signals,
)
from wsss.stages.random_walk import propagate_image
from wsss.stages.scores.quality import score_quality
from wsss.study.config import ConstantBackground, PowerBackground, RandomWalk

NAN = math.nan
SIZE = (32, 48)


def halves(left: int, right: int) -> np.ndarray:
    """A mask of two halves."""
    mask = np.full(SIZE, right, np.uint8)
    mask[:, : SIZE[1] // 2] = left
    return mask


def signals(image: str, **values: float) -> ImageSignals:
    return ImageSignals(image, dict.fromkeys(SIGNALS, NAN) | values)


def constant(score: float) -> ConstantBackground:
    return ConstantBackground(kind="constant", score=score)


def row(image: str, *labels: int, mask: Path | None = None) -> ImageRow:
    return ImageRow(image, Path(f"{image}.jpg"), mask, "train", mask is not None, labels, *SIZE, digest="")


# Signals


def test_agreement_is_the_mean_iou_over_the_values_of_either_mask() -> None:
    assert agreement(halves(0, 2), halves(0, 2)) == 1
    assert agreement(halves(0, 2), halves(0, 1)) == pytest.approx((1 + 0 + 0) / 3)
    assert agreement(halves(1, 1), halves(0, 1)) == pytest.approx((0 + 0.5) / 2)
    assert agreement(halves(0, 3), halves(3, 3)) == agreement(halves(3, 3), halves(0, 3))


def test_undecided_pixels_do_not_count() -> None:
    assert agreement(halves(0, 2), halves(0, 255)) == 1
    assert math.isnan(agreement(halves(0, 2), halves(255, 255)))


def test_a_prediction_is_kept_to_the_labels() -> None:
    np.testing.assert_array_equal(kept_to(halves(3, 2), np.array([2, 5])), halves(0, 2))


def test_outlines_are_as_wide_as_the_image_is_long() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[:, 100:] = 1
    near = np.flatnonzero(near_outlines(mask).all(0))
    assert (near[0], near[-1]) == (95, 104), "2 % of 200, and the pixel itself, on either side"
    assert not near_outlines(np.ones((20, 20), np.uint8)).any()


def test_margin_is_the_lead_of_the_winner() -> None:
    scores = torch.zeros(3, *SIZE)
    scores[0], scores[1], scores[2] = 0.2, 0.9, 0.6
    found = margins(scores, halves(1, 1))
    assert found["margin"] == pytest.approx(0.3)
    assert math.isnan(found["contour"])
    scores[1, :, 20:28] = 0.65
    found = margins(scores, halves(1, 0))
    assert found["contour"] == pytest.approx(0.05, abs=1e-3)
    assert found["margin"] > found["contour"]
    assert margins(scores[:1], halves(0, 0))["margin"] == 1


def test_a_label_of_a_few_pixels_has_vanished() -> None:
    mask = halves(0, 2)
    mask[0, 0] = 3
    assert mask_signals(mask, np.array([2, 3, 4])) == {
        "area": pytest.approx(0.5, abs=1e-3),
        "vanished": pytest.approx(2 / 3),
    }
    assert mask_signals(mask * 0, np.array([], np.int64)) == {"area": 0.0, "vanished": 0.0}


@pytest.mark.parametrize(
    ("background", "more", "less"),
    [
        (PowerBackground(alpha=3), PowerBackground(alpha=1.5), PowerBackground(alpha=6)),
        (
            constant(0.3),
            constant(0.4),
            constant(0.225),
        ),
        (
            constant(0.9),
            constant(0.95),
            constant(0.675),
        ),
    ],
)
def test_the_other_backgrounds_win_more_and_less(background, more, less) -> None:
    walk = RandomWalk(background=background, beta=5)
    found = other_backgrounds(walk)
    assert [other.beta for other in found] == [5, 5]
    for other, expected in zip(found, (more, less), strict=True):
        assert other.background.kind == expected.kind
        key = "alpha" if expected.kind == "power" else "score"
        assert getattr(other.background, key) == pytest.approx(getattr(expected, key))


@pytest.mark.parametrize("refine", ["none", "dense_crf"])
def test_a_mask_is_compared_with_other_ways_to_make_it(refine) -> None:
    walk = RandomWalk(background=PowerBackground(alpha=2), beta=1, t=4, normalize="none", refine=refine)
    stencil, cams = torch.ones(34, 4, 6), torch.full((1, *SIZE), 0.9)
    sure = walk_signals(stencil, cams, np.array([2]), halves(2, 2), input_scale=1, walk=walk)
    assert sure["alpha"] == sure["walk"] == 1
    assert sure["margin"] == pytest.approx(0.9 - 0.1**2, abs=1e-3)
    wrong = walk_signals(stencil, cams, np.array([2]), halves(0, 2), input_scale=1, walk=walk)
    assert wrong["alpha"] == wrong["walk"] == pytest.approx(0.25)
    refined = {"dense_crf", "changed"}
    assert refined & set(wrong) == (refined if refine == "dense_crf" else set())
    if refine == "dense_crf":
        assert (wrong["dense_crf"], wrong["changed"]) == (pytest.approx(0.25), 0.5)
        assert (sure["dense_crf"], sure["changed"]) == (1, 0)


@pytest.mark.parametrize("keys", [{}, {"padding": "zeros"}, {"normalize_on": "pixels"}])
@pytest.mark.parametrize("background", [constant(0.45), PowerBackground(alpha=2.0)])
def test_the_walk_that_is_compared_is_the_one_that_made_the_mask(background, keys) -> None:
    generator = torch.Generator().manual_seed(1)
    stencil, cams = torch.rand(34, 3, 4, generator=generator), torch.rand(2, 21, 30, generator=generator)
    values = np.array([2, 5])
    walk = RandomWalk(background=background, t=8, normalize="class", refine="dense_crf", **keys)
    mask = propagate_image(stencil, cams, values, input_scale=1.0, walk=walk)
    found = walk_signals(stencil, cams, values, mask, input_scale=1.0, walk=walk)
    assert (found["dense_crf"], found["changed"]) == (1, 0), "nothing has refined it"


def test_a_mask_on_which_backgrounds_disagree_is_trusted_less() -> None:
    walk = RandomWalk(background=PowerBackground(alpha=2), beta=1, t=1, normalize="none", refine="none")
    cams = torch.full((1, *SIZE), 0.9)
    cams[:, :, 24:] = 0.3  # background at alpha 1 and 2, where it scores 0.7 and 0.49, but not at 4
    unsure = walk_signals(torch.zeros(34, 4, 6), cams, np.array([2]), halves(2, 0), input_scale=1, walk=walk)
    assert unsure["walk"] > 0.9
    assert unsure["alpha"] < 0.75


# Order


def test_doubtful_masks_come_first_and_the_network_decides_where_it_has_seen_them() -> None:
    labels = {"a": [0], "b": [0, 1], "c": [], "d": [1], "e": [0, 1], "f": [0, 1]}
    manifest = Manifest(("cat", "dog"), tuple(row(image, *of) for image, of in labels.items()))
    found = rank_images(
        [
            signals("a", alpha=0.6, dense_crf=0.1),
            signals("b", alpha=0.9, network=0.2),
            signals("c", alpha=0.5),
            signals("d", alpha=0.1, network=0.6),
            signals("e", alpha=0.65),
            signals("f", alpha=0.01),
        ],
        manifest,
    )
    assert [(image.rank, image.image) for image in found] == [
        (1, "f"), (2, "b"), (3, "c"), (4, "a"), (5, "d"), (6, "e"),
    ]  # fmt: skip
    assert [image.score for image in found] == pytest.approx([0, 0.2, 0.5, 0.6, 0.6, 0.6])
    assert [image.labels for image in found[1:3]] == [("cat", "dog"), ()]


def ranking(count: int = 20, labels: int = 1) -> list[RankedImage]:
    """Images 00, 01, … whose agreement rises, every second one with more labels than one if so told."""
    rows = (row(f"{n:02}", *range(labels if n % 2 else 1)) for n in range(count))
    manifest = Manifest(("cat", "dog"), tuple(rows))
    return rank_images([signals(f"{n:02}", alpha=n / count, area=n / count) for n in range(count)], manifest)


def test_classes_have_the_means_of_their_images() -> None:
    cat, dog, none = summarize_classes(ranking(labels=2), ("cat", "dog", "eel"))
    assert (cat["class"], cat["images"], cat["first_tenth"]) == ("cat", 20, 2)
    assert (dog["class"], dog["images"], dog["first_tenth"]) == ("dog", 10, 1)
    assert cat["alpha"] == pytest.approx(np.mean(np.arange(20) / 20))
    assert dog["alpha"] == pytest.approx(np.mean(np.arange(1, 20, 2) / 20))
    assert dog["score"] == pytest.approx(dog["alpha"] - 0.05), "all of them have two labels"
    assert math.isnan(cat["network"])
    assert (none["class"], none["images"]) == ("eel", 0)
    assert math.isnan(none["score"])


# Against the truth


def test_a_signal_that_orders_like_the_truth_correlates_fully() -> None:
    found = score_quality(ranking(), {f"{n:02}": 0.3 + n / 50 for n in range(20)})
    assert found["scored_images"] == 20
    assert found["signals"]["score"]["spearman"] == pytest.approx(1)
    assert found["signals"]["area"]["spearman"] == pytest.approx(-1), "less area counts as better"
    assert found["signals"]["alpha"]["one_label"] == pytest.approx(1)
    assert found["signals"]["alpha"]["first_tenth"] == pytest.approx((0.3 + 0.32) / 2)
    assert found["miou"] == pytest.approx(np.mean(0.3 + np.arange(20) / 50))
    assert found["signals"]["network"]["images"] == 0
    assert math.isnan(found["signals"]["network"]["spearman"])


def test_only_scored_images_count_and_none_is_no_error() -> None:
    some = score_quality(ranking(), {"03": 0.9, "07": 0.5, "11": 0.2, "elsewhere": 0.1})
    assert some["scored_images"] == 3
    assert some["signals"]["score"]["spearman"] == pytest.approx(-1)
    none = score_quality(ranking(), {})
    assert none["scored_images"] == 0
    assert math.isnan(none["miou"])
    assert all(math.isnan(found["spearman"]) for found in none["signals"].values())


# Files


def test_signals_and_ranking_come_back_as_they_were(tmp_path: Path) -> None:
    images = [signals("a\tb", alpha=0.25, margin=0.0), signals("ö;x", network=1.0)]
    write_signals(tmp_path / "signals.tsv", images)
    for read, written in zip(read_signals(tmp_path / "signals.tsv"), images, strict=True):
        assert read.image == written.image
        assert read.values == pytest.approx(written.values, nan_ok=True)
    manifest = Manifest(("cat", "polar bear"), (row("a\tb", 0, 1), row("ö;x")))
    ranked = rank_images(images, manifest)
    write_ranking(tmp_path / "images.tsv", ranked)
    found = read_ranking(tmp_path / "images.tsv")
    assert [image[:4] for image in found] == [image[:4] for image in ranked]
    assert found[0].labels == ("cat", "polar bear")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.5000", "1.5000", ":2: 1.5000, expected a share"),
        ("0.5000", "half", ":2: could not convert"),
        ("id\t", "name\t", ":1: columns"),
        ("b\t", "a\t", ":3: a is there twice"),
        ("0.5000\t", "", ":2: 10 columns, expected 11"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "signals.tsv"
    write_signals(path, [signals("a", alpha=0.5), signals("b", alpha=0.75)])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ArtifactError) as caught:
        read_signals(path)
    assert f"{path}{said}" in str(caught.value)


def test_a_table_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.tsv").write_text("id\trank")
    with pytest.raises(ArtifactError, match=r"images\.tsv: empty or cut short"):
        read_ranking(tmp_path / "images.tsv")


# Report


def test_the_first_images_are_shown_with_their_true_masks_if_all_are_scored() -> None:
    manifest = Manifest(("cat",), (row("a", mask=Path("a.png")), row("b", mask=Path("b.png")), row("c")))
    selection = first_of(manifest, ["b", "a", "c"], 2)
    assert [(image.id, image.mask) for image in selection.rows] == [
        ("b", Path("b.png")),
        ("a", Path("a.png")),
    ]
    assert selection.subtitle == "2 of 3 images of train, ranked without true masks"
    assert {image.mask for image in first_of(manifest, ["b", "c", "a"], 2).rows} == {None}


def test_the_table_has_the_first_masks_and_how_well_they_rank() -> None:
    images = ranking(30)
    scores = score_quality(images, {f"{n:02}": 0.3 + n / 50 for n in range(30)})
    page = quality_table(images, scores)
    assert "1. 00" in page
    assert "20. 19" in page
    assert "21. 20" not in page
    assert "20 of 30 images of train" in page
    assert "+1.00" in page
    assert "network" not in page.split("How this is counted")[0], "no image has that signal"
    without = quality_table(images, score_quality(images, {}))
    assert "How well they rank" not in without
