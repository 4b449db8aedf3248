"""What training does to images and their label maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional

from wsss.data.transforms import (
    TrainTransform,
    colour_jitter,
    normalised,
    random_span,
    scaled,
    scaled_crop,
    scaled_labels,
    scaled_size,
)
from wsss.models.backbone import Normalization

IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CALM = (0.0, 0.0, 0.0, 0.0)


def plain(image: torch.Tensor) -> torch.Tensor:
    return image


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def marked(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image that repeats its label map, so that the two can be compared after any crop or flip."""
    labels = np.random.default_rng(0).integers(0, 200, (height, width), dtype=np.uint8)
    return np.stack([labels, labels, labels], axis=-1), labels


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [(40, 56), (20, 56), (40, 24), (9, 11)])
def test_image_and_labels_move_together(seed: int, size: tuple[int, int]) -> None:
    image, labels = marked(*size)
    transform = TrainTransform(32, (1.0, 1.0), CALM, plain)
    view, moved = transform(image, labels, np.random.default_rng(seed))
    assert view.shape == (3, 32, 32)
    assert view.dtype == torch.float32
    assert view.is_contiguous()
    assert moved.shape == (32, 32)
    assert moved.dtype == torch.uint8
    inside = moved != 255
    assert inside.sum() == min(size[0], 32) * min(size[1], 32)
    torch.testing.assert_close(view[0][inside] * 255, moved[inside].float())
    assert (view[:, ~inside] == 0).all()


def test_flips_mirror_half_of_the_views() -> None:
    image, labels = marked(32, 32)
    transform = TrainTransform(32, (1.0, 1.0), CALM, plain)
    views = [transform(image, labels, np.random.default_rng(seed))[1].numpy() for seed in range(40)]
    mirrored = [np.array_equal(view, labels[:, ::-1]) for view in views]
    assert all(
        is_mirrored or np.array_equal(view, labels) for is_mirrored, view in zip(mirrored, views, strict=True)
    )
    assert 8 < sum(mirrored) < 32
    unflipped = TrainTransform(32, (1.0, 1.0), CALM, plain, flip=False)
    assert all(
        np.array_equal(unflipped(image, labels, np.random.default_rng(seed))[1], labels) for seed in range(8)
    )


def test_crops_reach_every_place() -> None:
    rng = np.random.default_rng(0)
    longer = {random_span(36, 32, rng) for _ in range(200)}
    assert longer == {(start, 0, 32) for start in range(5)}
    shorter = {random_span(28, 32, rng) for _ in range(200)}
    assert shorter == {(0, place, 28) for place in range(5)}
    assert random_span(32, 32, rng) == (0, 0, 32)


@pytest.mark.parametrize("side", [31, 32, 40, 53])
def test_crops_on_a_grid_cut_no_cell(side: int) -> None:
    rng = np.random.default_rng(0)
    spans = {random_span(side, 40, rng, grid=8) for _ in range(100)}
    offsets = range(0, abs(side - 40) + 1, 8)
    assert spans == {(x, 0, 40) if side > 40 else (0, x, side) for x in offsets}


@pytest.mark.parametrize("width", [44, 53, 40])
def test_cells_stay_whole_in_every_view_on_a_grid(width: int) -> None:
    numbers = np.arange(6 * 7, dtype=np.uint8).reshape(6, 7)
    labels = numbers.repeat(8, 0).repeat(8, 1)[:45, :width]
    transform = TrainTransform(48, (1.0, 1.0), CALM, plain, grid=8)
    places = set()
    for seed in range(40):
        view = transform(np.dstack([labels] * 3), labels, np.random.default_rng(seed))[1].numpy()
        cells = view.reshape(6, 8, 6, 8).swapaxes(1, 2).reshape(6, 6, 64)
        assert all(len(set(cell.tolist()) - {255}) <= 1 for row in cells for cell in row)
        places.add(view.tobytes())
    assert len(places) > 1  # mirrored or not, at least


@pytest.mark.parametrize(("size", "expected"), [((75, 100), (48, 64)), ((300, 150), (64, 32))])
def test_the_longest_side_is_brought_to_a_length_before_the_scaling(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = np.full((*size, 3), 255, np.uint8)
    whole = TrainTransform(80, (1.0, 1.0), CALM, plain, longest_side=64)
    view, _ = whole(image, None, np.random.default_rng(0))
    assert (int(view[0].any(1).sum()), int(view[0].any(0).sum())) == expected
    scaled_down = TrainTransform(80, (0.5, 1.0), CALM, plain, longest_side=64)
    views = [scaled_down(image, None, np.random.default_rng(seed))[0][0] for seed in range(60)]
    longest = [max(int(view.any(0).sum()), int(view.any(1).sum())) for view in views]
    assert 32 <= min(longest) < 36
    assert 60 < max(longest) <= 64


def test_scales_cover_their_range() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    transform = TrainTransform(256, (0.5, 2.0), CALM, plain)
    sides = [
        round(float(transform(image, None, np.random.default_rng(seed))[0][0].gt(0).sum()) ** 0.5)
        for seed in range(60)
    ]
    assert 50 <= min(sides) < 65
    assert 180 < max(sides) <= 200
    assert abs(np.mean(sides) - 125) < 20


def test_only_the_generator_is_random() -> None:
    image, labels = noise(48, 40), np.zeros((48, 40), np.uint8)
    transform = TrainTransform(32, (0.7, 1.4), (0.3, 0.3, 0.3, 0.1), IMAGENET)
    first = transform(image, labels, np.random.default_rng(5))
    torch.manual_seed(1)
    again = transform(image, labels, np.random.default_rng(5))
    other = transform(image, labels, np.random.default_rng(6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_labels_do_not_change_the_view() -> None:
    image = noise(48, 40)
    transform = TrainTransform(32, (0.7, 1.4), (0.3, 0.3, 0.3, 0.1), IMAGENET)
    alone, nothing = transform(image, None, np.random.default_rng(5))
    together, _ = transform(image, np.zeros((48, 40), np.uint8), np.random.default_rng(5))
    assert nothing is None
    assert torch.equal(alone, together)


def test_inputs_stay_as_they_are() -> None:
    image, labels = marked(40, 40)
    before = image.copy(), labels.copy()
    TrainTransform(32, (1.0, 1.5), (0.3, 0.3, 0.3, 0.1), IMAGENET)(image, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_labels_of_another_size_are_refused() -> None:
    transform = TrainTransform(32, (1.0, 1.0), CALM, plain)
    with pytest.raises(ValueError, match=r"labels of shape \(8, 9\) for an image of shape \(8, 8, 3\)"):
        transform(noise(8, 8), np.zeros((8, 9), np.uint8), np.random.default_rng(0))


def test_padding_is_the_mean_colour_or_black() -> None:
    image = np.full((8, 8, 3), 255, np.uint8)
    white = (1 - torch.tensor(IMAGENET.mean)) / torch.tensor(IMAGENET.std)
    black = -torch.tensor(IMAGENET.mean) / torch.tensor(IMAGENET.std)
    for padding, colour in (("mean", torch.zeros(3)), ("black", black)):
        view, _ = TrainTransform(16, (1.0, 1.0), CALM, IMAGENET, padding=padding)(
            image, None, np.random.default_rng(0)
        )
        is_image = (view - white[:, None, None]).abs().amax(0) < 1e-5
        assert is_image.sum() == 64
        torch.testing.assert_close(view[:, ~is_image], colour[:, None].expand(3, 192))


def test_normalised_as_torchvision_does() -> None:
    image = noise(12, 10)
    expected = functional.normalize(functional.to_image(image).float() / 255, IMAGENET.mean, IMAGENET.std)
    torch.testing.assert_close(normalised(image, IMAGENET), expected.as_subclass(torch.Tensor))


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.05, 3))
def test_scaled_sizes_are_rounded_and_never_empty(height: int, width: int, factor: float) -> None:
    size = scaled_size((height, width), factor)
    assert all(
        abs(new - side * factor) <= 0.5 or new == 1 for new, side in zip(size, (height, width), strict=True)
    )
    assert min(size) >= 1


@pytest.mark.parametrize("factor", [0.5, 0.77, 1.0, 1.31, 2.0])
def test_a_crop_of_a_scaled_image_is_the_scaled_image_cropped(factor: float) -> None:
    image = np.asarray(Image.fromarray(noise(9, 13)).resize((90, 70), Image.Resampling.BICUBIC))
    whole, size = scaled(image, factor), scaled_size(image.shape[:2], factor)
    assert whole.shape == (*size, 3)
    rng = np.random.default_rng(1)
    for _ in range(5):
        rows, columns = (random_span(side, 24, rng) for side in size)
        part = scaled_crop(image, size, rows, columns, Image.Resampling.BICUBIC)
        expected = whole[rows.start :, columns.start :][: rows.extent, : columns.extent]
        assert np.abs(part.astype(int) - expected).max() <= 1


@given(st.integers(8, 40), st.integers(8, 40), st.floats(0.3, 3), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_scaling_invents_no_label(height: int, width: int, factor: float, seed: int) -> None:
    labels = np.random.default_rng(seed).choice(np.array([0, 3, 7, 255], np.uint8), (height, width))
    resized = scaled_labels(labels, factor)
    assert resized.shape == scaled_size((height, width), factor)
    assert set(np.unique(resized)) <= set(np.unique(labels))


class Fixed:
    """A generator that draws in order and always the upper end of a range."""

    def permutation(self, count: int) -> np.ndarray:
        return np.arange(count)

    def uniform(self, low: float, high: float) -> float:
        return high


@pytest.mark.parametrize("change", range(4))
@pytest.mark.parametrize("strength", [0.1, 0.4])
def test_colours_change_as_in_torchvision(change: int, strength: float) -> None:
    image = noise(6, 7).astype(np.float32).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    strengths = tuple(strength if index == change else 0.0 for index in range(4))
    adjust = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )[change]
    amount = strength if change == 3 else 1 + strength
    expected = np.asarray(adjust(Image.fromarray(image), amount))
    changed = colour_jitter(image, strengths, Fixed())
    np.testing.assert_array_equal(changed, expected)
    assert not np.array_equal(changed, image)


def test_without_strength_colours_stay() -> None:
    image = noise(9, 9)
    np.testing.assert_array_equal(colour_jitter(image, CALM, np.random.default_rng(0)), image)


def test_the_order_of_the_changes_is_random() -> None:
    image = noise(9, 9)
    views = [colour_jitter(image, (0.5, 0.5, 0.0, 0.0), np.random.default_rng(seed)) for seed in range(5)]
    assert len({view.tobytes() for view in views}) == 5
