"""The dense CRF against posteriors of the widely used C++ implementation, on photographs kept elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wsss.method.dense_crf import dense_crf

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "dense_crf.npz"
HALF_PRECISION = 2**-11
"""The posteriors are stored as float16."""


@pytest.mark.parametrize("alpha", [4, 32])
@pytest.mark.parametrize("image", [0, 1])
def test_posteriors_of_photographs(image: int, alpha: int) -> None:
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN} is not here: its photographs do not come with the repository")
    with np.load(GOLDEN, allow_pickle=False) as golden:
        scores = torch.from_numpy(golden[f"scores_{image}_alpha{alpha}"])
        posterior = dense_crf(golden[f"image_{image}"], scores).numpy()
        expected = golden[f"posterior_{image}_alpha{alpha}"].astype(np.float32)
    assert np.abs(posterior - expected).max() < HALF_PRECISION
    assert (posterior.argmax(0) == expected.argmax(0)).mean() > 0.9999
