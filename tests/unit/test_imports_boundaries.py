"""Boundary maps become affinities: a closed boundary holds the walk on any grid, and no map is misread."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wsss.data import ImageRow
from wsss.method.affinity import boundary_stencil, half_plane_offsets
from wsss.method.grid import to_grid
from wsss.method.resizing import scaled_size
from wsss.results import AffinityGrid, read_affinities, write_affinities
from wsss.stages.affinities.boundary import (
    boundary_files,
    cell_maxima,
    read_boundary,
    stencils,
)
from wsss.stages.random_walk import propagate_image, walk_scores
from wsss.study.config import ConstantBackground, RandomWalk

SIZE = (40, 52)
GRID = AffinityGrid(radius=5, input_scale=1.0, border="full")
CONSTANT = ConstantBackground(kind="constant", score=0.25)
MAP = np.random.default_rng(0).random(SIZE, dtype=np.float32)


def row(size: tuple[int, int] = SIZE) -> ImageRow:
    return ImageRow("a", Path("a.jpg"), None, "train", False, (0,), *size, "")


def ring(height: int, width: int, top: int, left: int, bottom: int, right: int) -> tuple[Tensor, Tensor]:
    """A closed line of one pixel, and what it encloses."""
    boundary, inside = torch.zeros(height, width), torch.zeros(height, width, dtype=torch.bool)
    boundary[top : bottom + 1, left : right + 1] = 1
    boundary[top + 1 : bottom, left + 1 : right] = 0
    inside[top + 1 : bottom, left + 1 : right] = True
    return boundary, inside


# Files


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_are_read(dtype: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MAP.astype(dtype))
    found = read_boundary(tmp_path / "a.npy", SIZE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, MAP.astype(dtype).astype(np.float32))


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.bool_, 1)])
def test_grey_images_are_read(dtype: Any, white: int, tmp_path: Path) -> None:
    levels = (MAP * white + 0.5).astype(np.uint16).astype(dtype)
    Image.fromarray(levels).save(tmp_path / "a.png")
    found = read_boundary(tmp_path / "a.png", SIZE)
    np.testing.assert_allclose(found, levels.astype(np.float64) / white, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", MAP.T, "(52, 40) float32, expected a float map of the image's (40, 52)"),
        ("a.npy", (MAP * 255).astype(np.uint8), "uint8, expected a float map"),
        ("a.npy", MAP * 2, "expected [0, 1]"),
        ("a.npy", np.full(SIZE, np.nan), "values from nan to nan, expected [0, 1]"),
        ("a.npy", np.array([None]), "elements must be plain numbers"),
        ("a.png", np.zeros(SIZE[::-1], np.uint8), "(52, 40) float32, expected a float map"),
        (
            "a.png",
            np.arange(3, dtype=np.uint8) * np.ones((*SIZE, 1), np.uint8),
            "colours, such as a heat map's",
        ),
    ],
)
def test_other_maps_are_refused(name: str, content: NDArray[Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".png":
        Image.fromarray(content).save(path)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(ValueError, match=re.escape(f"{path}: ") + ".*" + re.escape(words)):
        read_boundary(path, SIZE)


@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_damaged_files_are_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        Image.fromarray((MAP * 255).astype(np.uint8)).save(path)
    else:
        np.save(path, MAP)
    data = path.read_bytes()
    for end in (0, 5, 20, len(data) // 2):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_boundary(path, SIZE)


def test_missing_maps_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"boundary maps: .* expected <id>.npy or <id>.png: a; the folder is empty$"
    ):
        boundary_files([row()], tmp_path)


# The grid


@settings(deadline=None, derandomize=True)
@given(
    st.integers(8, 40),
    st.integers(8, 40),
    st.sampled_from([0.3, 0.5, 1.0, 1.37, 2.0, 3.0]),
    st.integers(0, 99),
)
def test_a_cell_has_the_largest_value_of_its_pixels(height: int, width: int, scale: float, seed: int) -> None:
    boundary = torch.rand(height, width, generator=torch.Generator().manual_seed(seed))
    tall, wide = scaled_size((height, width), scale)
    cells = cell_maxima(boundary, (tall, wide))
    assert cells.shape == to_grid(boundary[None], scale).shape[1:]
    for i, j in np.ndindex(*cells.shape):
        covered = [
            boundary[y, x].item()
            for y, x in np.ndindex(height, width)
            if y * tall < min(8 * i + 8, tall) * height and (y + 1) * tall > 8 * i * height
            if x * wide < min(8 * j + 8, wide) * width and (x + 1) * wide > 8 * j * width
        ]
        assert cells[i, j] == max(covered)


# The walk


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.0])
def test_a_closed_boundary_stops_the_walk(scale: float, tmp_path: Path) -> None:
    height, width = 96, 120
    boundary, inside = ring(height, width, 30, 25, 71, 90)
    np.save(tmp_path / "a.npy", boundary)
    image = row((height, width))
    files = boundary_files([image], tmp_path)
    grid = GRID._replace(input_scale=scale)
    write_affinities(tmp_path / "00.h5", stencils([image], files, grid), grid)
    with read_affinities(tmp_path / "00.h5") as affinities:
        stencil, cells = torch.from_numpy(affinities["a"]), affinities.boundary("a")
        assert list(affinities) == ["a"]
    assert cells is not None
    cam = torch.zeros(1, height, width)
    cam[0, 45:50, 50:55] = 1  # some pixels inside
    walk = RandomWalk(background=CONSTANT, beta=10, t=4096, normalize="image")
    how = {"input_scale": scale, "walk": walk, "boundary": torch.from_numpy(cells)}
    scores = walk_scores(stencil, cam, **how)
    within = to_grid(inside[None].float(), scale)[0] == 1
    outside = to_grid((~inside)[None].float(), scale)[0] == 1
    assert (scores[1][within] > 0.9).all()
    assert scores[1][outside].max() < 1e-3
    assert scores[0].sub(0.25).abs().max() < 1e-3
    mask = propagate_image(stencil, cam, np.array([1]), **how)
    assert (mask[46:56, 42:74] == 1).all()  # more than a cell off the boundary
    assert not mask[:18].any()


def test_scores_start_with_less_on_a_boundary() -> None:
    """After no step to speak of, the walked scores are those on the grid times (1 - boundary)."""
    boundary = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)).half()
    cams = torch.rand(2, 40, 56, generator=torch.Generator().manual_seed(1)).half()
    stencil = torch.zeros(len(half_plane_offsets(5)), 5, 7)  # no neighbours: the walk stays where it is
    walk = RandomWalk(background=CONSTANT)
    scores = walk_scores(stencil, cams, input_scale=1.0, walk=walk, boundary=boundary)
    torch.testing.assert_close(scores[1:], to_grid(cams.float(), 1.0) * (1 - boundary.float()))
    torch.testing.assert_close(scores[0], torch.full((5, 7), 0.25))


def path_affinity(boundary: NDArray[Any], y: int, x: int, v: int, u: int) -> float:
    """1 - the largest value of the cells that a thick line between two cells touches, in float64."""
    length = np.hypot(v - y, u - x)
    across = [
        boundary[a, b]
        for a in range(min(y, v), max(y, v) + 1)
        for b in range(min(x, u), max(x, u) + 1)
        if abs((a - y) * (u - x) - (b - x) * (v - y)) < length * (1 - 1e-12)
    ]
    return 1 - max(across)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 5), st.integers(0, 999))
def test_stencils_of_random_maps(height: int, width: int, radius: int, seed: int) -> None:
    boundary = np.random.default_rng(seed).random((height, width))
    stencil = boundary_stencil(torch.from_numpy(boundary), radius).numpy()
    for p, (dy, dx) in enumerate(half_plane_offsets(radius).tolist()):
        for y, x in np.ndindex(height, width):
            is_pair = y + dy < height and 0 <= x + dx < width
            expected = path_affinity(boundary, y, x, y + dy, x + dx) if is_pair else 0
            assert stencil[p, y, x] == pytest.approx(expected, abs=1e-12)


def test_networks_have_no_boundary(tmp_path: Path) -> None:
    stencil = np.ones((34, 2, 3), np.float16)
    write_affinities(tmp_path / "00.h5", [("a@boundary", stencil)], GRID)
    with read_affinities(tmp_path / "00.h5") as affinities:
        assert list(affinities) == ["a@boundary"]
        assert affinities.boundary("a@boundary") is None


def test_impossible_boundaries_are_not_written(tmp_path: Path) -> None:
    stencil = np.ones((34, 2, 3), np.float16)
    for boundary in (np.full((2, 3), 1.5, np.float16), np.ones((2, 3), np.float32), np.ones(3, np.float16)):
        with pytest.raises(ValueError, match=r"00.h5: image 'a'"):
            write_affinities(tmp_path / "00.h5", [("a", stencil, boundary)], GRID)
