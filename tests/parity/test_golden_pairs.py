"""The pairs and the boundary affinities against independent reference arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wsss.method.affinity import boundary_stencil, half_plane_offsets, pair_targets

GOLDEN = Path(__file__).parent
KINDS = ("background", "foreground", "different")


def test_offsets_come_in_the_published_order():
    with np.load(GOLDEN / "pairs.npz") as golden:
        np.testing.assert_array_equal(half_plane_offsets(5).numpy(), golden["offsets"])


@pytest.mark.parametrize(("index", "kind"), list(enumerate(KINDS)))
def test_pairs_of_each_kind(index: int, kind: str):
    with np.load(GOLDEN / "pairs.npz") as golden:
        labels, offsets = golden["labels"], golden["offsets"]
        expected = [golden[f"{kind}_{image}"] for image in range(len(labels))]
    width = labels.shape[2]
    targets = pair_targets(torch.from_numpy(labels), radius=5, border="cropped")[index]
    for image, pairs in enumerate(expected):
        offset, y, x = targets[image].nonzero().numpy().T
        lower = (y + offsets[offset, 0]) * width + x + offsets[offset, 1]
        found = np.stack([offset, y * width + x, lower], 1)
        np.testing.assert_array_equal(found, pairs[np.lexsort(pairs.T[::-1])])


def test_boundary_affinities():
    with np.load(GOLDEN / "boundary_walk.npz") as golden:
        boundary, dense = torch.from_numpy(golden["boundary"]), golden["affinity"]
    height, width = boundary.shape
    stencil = boundary_stencil(boundary, radius=5)
    found = np.eye(height * width)
    for (dy, dx), plane in zip(half_plane_offsets(5).tolist(), stencil, strict=True):
        for y, x in plane.nonzero().tolist():
            upper, lower = y * width + x, (y + dy) * width + x + dx
            found[upper, lower] = found[lower, upper] = plane[y, x]
    np.testing.assert_allclose(found, dense, atol=1e-6)
