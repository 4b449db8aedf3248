"""Intersection over union against independent reference arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from wsss.method.metrics import class_iou, confusion_matrix, mean_iou

GOLDEN = Path(__file__).parent


def test_class_iou_of_summed_confusions():
    with np.load(GOLDEN / "miou.npz") as golden:
        truth, prediction = torch.from_numpy(golden["truth"]), torch.from_numpy(golden["prediction"])
        expected = golden["iou"]
    confusion = torch.stack(
        [confusion_matrix(p, t, n_values=6) for p, t in zip(prediction, truth, strict=True)]
    ).sum(0)
    np.testing.assert_allclose(class_iou(confusion).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(mean_iou(confusion).item(), np.nanmean(expected), rtol=1e-12)
