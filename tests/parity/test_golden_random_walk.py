"""The random walk against reference walks: both geometries, all beta and t, and a boundary affinity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from wsss.method.affinity import affinity_stencil, half_plane_offsets
from wsss.method.random_walk import propagate

HERE = Path(__file__).parent
WALK = np.load(HERE / "random_walk.npz", allow_pickle=False)
BOUNDARY = np.load(HERE / "boundary_walk.npz", allow_pickle=False)


def stencil_of(affinity: np.ndarray, height: int, width: int) -> Tensor:
    """Read the stencil of radius 5 off a dense affinity matrix (n, n)."""
    offsets = half_plane_offsets(5).tolist()
    stencil = torch.zeros(len(offsets), height, width)
    pairs = torch.from_numpy(affinity).view(height, width, height, width)
    for p, (dy, dx) in enumerate(offsets):
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                stencil[p, y, x] = pairs[y, x, y + dy, x + dx]
    return stencil


@pytest.mark.parametrize("border", ["full", "cropped"])
@pytest.mark.parametrize("beta", [4, 8])
def test_walk_of_an_affinity_matrix(border: str, beta: int) -> None:
    scores, steps = torch.from_numpy(WALK["scores"]), [1, 16, 256]
    expected = np.stack([WALK[f"walk_{border}_beta{beta}_t{t}"] for t in steps])
    stencil = stencil_of(WALK[f"affinity_{border}"], *scores.shape[1:])
    walked = propagate(stencil, scores, beta=beta, t=steps)
    np.testing.assert_allclose(walked, expected, rtol=0, atol=1e-4)
    exact = propagate(stencil, scores.double(), beta=beta, t=steps, tolerance=1e-10)
    np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-6)
    assert np.array_equal(walked.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("border", ["full", "cropped"])
def test_walk_of_features(border: str) -> None:
    stencil = affinity_stencil(torch.from_numpy(WALK["features"])[None], border=border)[0]
    walked = propagate(stencil, torch.from_numpy(WALK["scores"]), beta=8, t=256)
    np.testing.assert_allclose(walked, WALK[f"walk_{border}_beta8_t256"], rtol=0, atol=1e-4)


def test_walk_of_a_boundary_affinity() -> None:
    boundary = torch.from_numpy(BOUNDARY["boundary"])
    scores = torch.from_numpy(BOUNDARY["scores"]) * (1 - boundary)
    walked = propagate(stencil_of(BOUNDARY["affinity"], *boundary.shape), scores, beta=10, t=256)
    np.testing.assert_allclose(walked, BOUNDARY["walk"], rtol=0, atol=1e-4)
