"""Confident labels against independent reference arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from wsss.method.confident import confident_labels

GOLDEN = Path(__file__).parent


@pytest.mark.parametrize(("low_alpha", "high_alpha"), [(4, 32), (4, 24), (1, 12)])
def test_confident_labels(low_alpha: int, high_alpha: int):
    with np.load(GOLDEN / "confident.npz") as golden:
        cams, class_values = torch.from_numpy(golden["cams"]), golden["classes"].tolist()
        expected = golden[f"labels_{low_alpha}_{high_alpha}"]
    labels = confident_labels(cams, class_values, low_alpha=low_alpha, high_alpha=high_alpha)
    np.testing.assert_array_equal(labels.numpy(), expected)
