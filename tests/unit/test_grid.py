"""Resizing, map by map, and the way from the image to AffinityNet's grid and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.method.cam import peaks_to_one, with_background
from wsss.method.grid import from_grid, to_grid
from wsss.method.resizing import bilinear, scaled_size


def random_maps(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(5, 9), (11, 3), (4, 6)])
def test_resizing_is_that_of_pytorch(size: tuple[int, int]) -> None:
    maps = random_maps(2, 3, 4, 6)
    expected = torch.nn.functional.interpolate(maps, size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(bilinear(maps, size), expected)
    torch.testing.assert_close(bilinear(maps[0], size), expected[0])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30), st.integers(1, 30))
def test_a_map_comes_out_the_same_whatever_maps_are_beside_it(
    h: int, w: int, height: int, width: int
) -> None:
    maps = random_maps(5, h, w)
    together = bilinear(maps, (height, width))
    assert all(torch.equal(bilinear(maps[k : k + 1], (height, width))[0], together[k]) for k in range(5))


def test_maps_of_the_size_stay_as_they_are() -> None:
    maps = random_maps(3, 7, 5)
    assert bilinear(maps, (7, 5)) is maps
    same = torch.nn.functional.interpolate(maps[None], (7, 5), mode="bilinear", align_corners=False)[0]
    assert torch.equal(same, maps)  # to the last digit


@pytest.mark.parametrize("shape", [(0, 4, 5), (2, 0, 4, 5)])
def test_no_maps_are_resized_to_no_maps(shape: tuple[int, ...]) -> None:
    assert bilinear(torch.zeros(shape), (8, 9)).shape == (*shape[:-2], 8, 9)


def test_sizes_are_rounded_and_never_nothing() -> None:
    assert scaled_size((375, 500), 0.5) == (188, 250)
    assert scaled_size((8, 3), 0.1) == (1, 1)


def test_cells_average_their_pixels() -> None:
    scores = random_maps(2, 19, 33)
    cells = to_grid(scores, 1.0)
    assert cells.shape == (2, 3, 5)
    torch.testing.assert_close(cells[:, 1, 2], scores[:, 8:16, 16:24].mean((1, 2)))
    torch.testing.assert_close(cells[:, 2, 4], scores[:, 16:, 32:].mean((1, 2)))


@pytest.mark.parametrize("size", [(19, 33), (16, 24), (8, 41)])
@pytest.mark.parametrize("input_scale", [1.0, 2.0])
def test_padded_cells_average_zeros_beyond_the_image(size: tuple[int, int], input_scale: float) -> None:
    scores = random_maps(3, *size)
    scaled_to = [round(side * input_scale) for side in size]
    pixels = bilinear(scores, scaled_to).numpy()
    padded = np.pad(pixels, ((0, 0), *((0, -side % 8) for side in scaled_to)))
    rows, columns = (side // 8 for side in padded.shape[1:])
    expected = padded.reshape(3, rows, 8, columns, 8).mean((2, 4))
    np.testing.assert_allclose(to_grid(scores, input_scale, "zeros"), expected, atol=1e-6)
    inside = to_grid(scores, input_scale)
    whole = np.s_[:, : scaled_to[0] // 8, : scaled_to[1] // 8]
    np.testing.assert_allclose(inside[whole], expected[whole], atol=1e-6)
    if padded.shape != pixels.shape:
        assert (inside[:, -1, -1].numpy() > 1.1 * expected[:, -1, -1]).all()


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="padding: got 'mean', allowed none or zeros"):
        to_grid(random_maps(1, 8, 8), 1.0, "mean")  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    input_scale=st.sampled_from([0.5, 0.8, 1.0, 1.5, 2.0]),
)
def test_a_constant_survives_the_grid_and_fits_the_stencil(
    height: int, width: int, input_scale: float
) -> None:
    cells = to_grid(torch.full((1, height, width), 0.3), input_scale)
    assert cells.shape[1:] == tuple(-(-round(side * input_scale) // 8) for side in (height, width))
    back = from_grid(cells, (height, width), input_scale)
    torch.testing.assert_close(back, torch.full((1, height, width), 0.3))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    maps=st.integers(1, 4),
    input_scale=st.sampled_from([0.5, 0.7, 1.0, 1.5, 2.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_cells_come_to_the_image_as_by_two_resizings_whatever_maps_are_beside_them(
    height: int, width: int, maps: int, input_scale: float, dtype: torch.dtype
) -> None:
    scaled_to = [max(1, round(side * input_scale)) for side in (height, width)]
    cells = torch.rand(maps, *(-(-side // 8) for side in scaled_to), dtype=dtype)
    fine = torch.nn.functional.interpolate(cells[None], scale_factor=8, mode="bilinear")
    fine = fine[..., : scaled_to[0], : scaled_to[1]]
    expected = torch.nn.functional.interpolate(fine, (height, width), mode="bilinear")[0]
    found = from_grid(cells, (height, width), input_scale)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(from_grid(cells[:1], (height, width), input_scale), found[:1])


@pytest.mark.parametrize(("of", "peaks"), [("class", [1, 1, 0]), ("image", [0.5, 1, 0])])
def test_peaks_become_one_by_class_or_by_image(of: str, peaks: list[float]) -> None:
    scores = torch.tensor([0.2, 0.4, 0.0]).view(3, 1, 1) * random_maps(1, 5, 6) / random_maps(1, 5, 6).max()
    found = peaks_to_one(scores, of)  # type: ignore[arg-type]
    assert found.amax((1, 2)).tolist() == pytest.approx(peaks)
    assert peaks_to_one(scores[:0], of).shape == (0, 5, 6)  # type: ignore[arg-type]


def test_the_background_comes_first_and_decides_on_the_dtype() -> None:
    cams, background = random_maps(2, 3, 4).half(), random_maps(3, 4)
    stack = with_background(cams, background)
    assert stack.dtype == torch.float32
    assert torch.equal(stack[0], background)
    assert torch.equal(stack[1:], cams.float())
