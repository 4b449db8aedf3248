"""From CAMs to confident regions and pseudo masks, as the sections of the configuration say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from wsss.method.affinity import oracle_stencil
from wsss.method.cam import background_score
from wsss.method.confident import confident_labels, threshold_labels
from wsss.method.grid import from_grid, to_grid
from wsss.method.random_walk import propagate
from wsss.stages.confident import label_image
from wsss.stages.random_walk import background_of, propagate_image, walk_scores
from wsss.study.config import (
    Confident,
    ConstantBackground,
    ConstantThresholds,
    PowerBackground,
    PowerThresholds,
    RandomWalk,
)


def random_maps(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def constant(score: float, **keys: Any) -> RandomWalk:
    return RandomWalk(background=ConstantBackground(kind="constant", score=score), **keys)


def power(alpha: float, **keys: Any) -> RandomWalk:
    return RandomWalk(background=PowerBackground(alpha=alpha), **keys)


def halves(height: int = 40, width: int = 64) -> torch.Tensor:
    """Label 1 left, 2 right."""
    return (1 + (torch.arange(width) >= width // 2).to(torch.uint8)).expand(height, width)


@pytest.mark.parametrize("pooling", ["vote", "scores"])
def test_confident_regions_follow_their_section(pooling: Any) -> None:
    cams, values, pool = random_maps(2, 16, 24), np.array([3, 5]), 8 if pooling == "scores" else 1
    alphas = Confident(background=PowerThresholds(low_alpha=1, high_alpha=3), pooling=pooling)
    expected = confident_labels(cams, values, low_alpha=1, high_alpha=3, pool=pool)
    assert torch.equal(label_image(cams, values, alphas), expected)
    thresholds = ConstantThresholds(kind="constant", foreground=0.7, background=0.4)
    constants = Confident(background=thresholds, pooling=pooling)
    expected = threshold_labels(cams, values, foreground=0.7, background=0.4, pool=pool)
    assert torch.equal(label_image(cams, values, constants), expected)
    assert not torch.equal(expected, label_image(cams, values, alphas))


@pytest.mark.parametrize("input_scale", [1.0, 2.0])
def test_the_walk_fills_segments_from_their_seeds(input_scale: float) -> None:
    seeds = torch.zeros(2, 40, 64)
    seeds[0, 16:24, 8:16] = 1
    seeds[1, 16:24, 48:56] = 1
    cell = round(8 / input_scale)
    stencil = oracle_stencil(halves()[::cell, ::cell].contiguous()).half()
    walk = constant(0.01, beta=1, t=4000)
    mask = propagate_image(stencil, seeds.half(), np.array([3, 6]), input_scale=input_scale, walk=walk)
    away_from_the_border = np.r_[0:28, 36:64]  # bilinear scores blur one cell's width
    expected = np.where(halves() == 1, 3, 6)
    np.testing.assert_array_equal(mask[:, away_from_the_border], expected[:, away_from_the_border])
    assert mask.dtype == np.uint8


def test_without_affinities_the_winner_of_the_cells_stays() -> None:
    cams = torch.zeros(1, 16, 24)
    cams[0, :, :8] = 1
    walk, stencil = power(2, t=1, beta=8), torch.zeros(34, 2, 3)
    mask = propagate_image(stencil, cams, np.array([1]), input_scale=1.0, walk=walk)
    np.testing.assert_array_equal(mask, np.repeat([1, 0], [8, 16])[None].repeat(16, 0))
    walked = walk_scores(stencil, cams, input_scale=1.0, walk=walk)
    np.testing.assert_array_equal(walked[1], [[1, 0, 0]] * 2)


@pytest.mark.parametrize("walk", [power(3), constant(0.3), power(3, normalize="class"), constant(0.0)])
def test_an_image_without_labels_is_background(walk: RandomWalk) -> None:
    stencil, cams = random_maps(34, 3, 3), torch.zeros(0, 20, 24)
    mask = propagate_image(stencil, cams, np.zeros(0, np.int64), input_scale=1.0, walk=walk)
    np.testing.assert_array_equal(mask, np.zeros((20, 24), np.uint8))
    assert walk_scores(stencil, cams, input_scale=1.0, walk=walk).shape == (1, 3, 3)


@pytest.mark.parametrize("input_scale", [1.0, 1.5])
def test_walked_scores_are_those_of_the_method(input_scale: float) -> None:
    cams = random_maps(2, 33, 40).half()
    cells = to_grid(torch.cat([background_score(cams, 3)[None], cams.float()]), input_scale)
    stencil, walk = random_maps(34, *cells.shape[1:], seed=1).half(), power(3, beta=4, t=7, tolerance=1e-6)
    expected = propagate(stencil.float(), cells, beta=4, t=7, tolerance=1e-6)
    assert torch.equal(walk_scores(stencil, cams, input_scale=input_scale, walk=walk), expected)
    mask = propagate_image(stencil, cams, np.array([4, 7]), input_scale=input_scale, walk=walk)
    winner = from_grid(expected, (33, 40), input_scale).argmax(0)
    np.testing.assert_array_equal(mask, np.array([0, 4, 7])[winner])


def test_a_constant_background_is_exactly_that_on_every_pixel() -> None:
    """A class that equals the background loses, though resizing would round the constant up or down."""
    score = 0.3
    cams = torch.full((1, 37, 53), score)
    mask = propagate_image(torch.zeros(34, 5, 7), cams, np.array([1]), input_scale=1.0, walk=constant(score))
    walked = from_grid(
        walk_scores(torch.zeros(34, 5, 7), cams, input_scale=1.0, walk=constant(score)), (37, 53), 1.0
    )
    np.testing.assert_array_equal(mask, (walked[1] > score).numpy().astype(np.uint8))


@pytest.mark.parametrize(("of", "peaks"), [("none", [0.2, 0.4]), ("class", [1, 1]), ("image", [0.5, 1])])
def test_the_classes_are_normalised_as_the_section_says(of: Any, peaks: list[float]) -> None:
    cams = torch.tensor([0.2, 0.4]).view(2, 1, 1).expand(2, 16, 16)
    walked = walk_scores(torch.zeros(34, 2, 2), cams, input_scale=1.0, walk=power(3, normalize=of))
    assert walked[1:].amax((1, 2)).tolist() == pytest.approx(peaks)
    torch.testing.assert_close(walked[0], torch.full((2, 2), (1 - 0.4) ** 3))


@pytest.mark.parametrize("background", [power(3), constant(0.4)])
def test_padded_scores_walk_as_in_the_published_code(background: RandomWalk) -> None:
    """Zeros beyond all scores, the background's too; means of 8 x 8; the walk; 8 times as large; cut."""
    cams, walk = (
        random_maps(2, 21, 37),
        background.model_copy(update={"padding": "zeros", "beta": 4.0, "t": 9}),
    )
    stack = torch.cat([background_of(cams, walk.background)[None], cams])
    padded = torch.nn.functional.pad(stack, (0, 3, 0, 3))
    cells = torch.nn.functional.avg_pool2d(padded, 8)
    stencil = random_maps(34, 3, 5, seed=1)
    walked = propagate(stencil, cells, beta=4, t=9, tolerance=1e-6)
    fine = torch.nn.functional.interpolate(walked[None], scale_factor=8, mode="bilinear")[0, :, :21, :37]
    expected = np.array([0, 4, 7])[fine.argmax(0)]
    exact = walk.model_copy(update={"tolerance": 1e-6})
    mask = propagate_image(stencil, cams, np.array([4, 7]), input_scale=1.0, walk=exact)
    np.testing.assert_array_equal(mask, expected)
    unpadded = exact.model_copy(update={"padding": "none"})
    assert (
        propagate_image(stencil, cams, np.array([4, 7]), input_scale=1.0, walk=unpadded) != expected
    ).any()


@pytest.mark.parametrize("of", ["class", "image"])
def test_peaks_of_pixels_are_those_after_enlarging(of: Any) -> None:
    """As in IRN's code: enlarged, cut to the image, divided by the largest, and then the background."""
    cams, stencil = random_maps(2, 29, 44), 0.7 * random_maps(34, 8, 11, seed=1)
    walk = constant(0.7, beta=10, t=1, tolerance=1e-6, normalize=of, normalize_on="pixels")
    walked = propagate(stencil, to_grid(cams, 2.0), beta=10, t=1, tolerance=1e-6)
    fine = from_grid(walked, (29, 44), 2.0)
    peaks = fine.amax() if of == "image" else fine.amax((1, 2), keepdim=True)
    classes = torch.cat([torch.full((1, 29, 44), 0.7), fine / peaks])
    expected = np.array([0, 4, 7])[classes.argmax(0)]
    mask = propagate_image(stencil, cams, np.array([4, 7]), input_scale=2.0, walk=walk)
    np.testing.assert_array_equal(mask, expected)
    on_cells = walk.model_copy(update={"normalize_on": "cells"})
    assert (
        propagate_image(stencil, cams, np.array([4, 7]), input_scale=2.0, walk=on_cells) != expected
    ).any()


def test_backgrounds_follow_their_section() -> None:
    cams = random_maps(2, 5, 6)
    torch.testing.assert_close(background_of(cams, PowerBackground(alpha=3)), (1 - cams.amax(0)) ** 3)
    found = background_of(cams, ConstantBackground(kind="constant", score=0.25))
    assert torch.equal(found, torch.full((5, 6), 0.25))
