"""Affinities and loss against independent reference arrays, for both sets of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wsss.method.affinity import affinity_loss, affinity_stencil, half_plane_offsets, pair_targets
from wsss.method.neighbours import Border

GOLDEN = Path(__file__).parent


@pytest.mark.parametrize("border", ["full", "cropped"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_loss_and_terms(border: Border, dtype: torch.dtype, tolerance: float):
    with np.load(GOLDEN / "loss.npz") as golden:
        features = torch.from_numpy(golden["features"]).to(dtype)
        labels = torch.from_numpy(golden["labels"])
        expected_loss, expected_terms = golden[f"loss_{border}"], golden[f"terms_{border}"]
    targets = pair_targets(labels, radius=5, border=border)
    loss, terms = affinity_loss(affinity_stencil(features, radius=5, border=border), targets)
    np.testing.assert_allclose(loss.item(), expected_loss, rtol=tolerance)
    np.testing.assert_allclose([term.item() for term in terms], expected_terms, rtol=tolerance)


@pytest.mark.parametrize("border", ["full", "cropped"])
def test_affinities(border: Border):
    with np.load(GOLDEN / "random_walk.npz") as golden:
        features, dense = torch.from_numpy(golden["features"]), golden[f"affinity_{border}"]
    width = features.shape[-1]
    stencil = affinity_stencil(features[None].double(), radius=5, border=border)[0]
    offset, y, x = stencil.nonzero().T
    dy, dx = half_plane_offsets(5)[offset].T
    upper, lower = y * width + x, (y + dy) * width + x + dx
    found = np.eye(len(dense))
    found[upper, lower] = found[lower, upper] = stencil[offset, y, x].numpy()
    np.testing.assert_allclose(found, dense, atol=1e-6)
