"""The refit of CAM weights: pooling and loss against sums in float64, and weights that learn a difference."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from wsss.method.refit import pooled_under_cams, refit_loss

LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_features_are_averaged_under_the_cam_of_each_class() -> None:
    features, raw = numbers(0, 2, 4, 2, 3), numbers(1, 2, 3, 2, 3)
    raw[1, 2] = -1  # nowhere active
    pooled = pooled_under_cams(features, raw)
    for image in range(2):
        for name in range(3):
            cam = [max(score, 0.0) for score in raw[image, name].flatten().tolist()]
            weights = [score / (max(cam) + 1e-5) / 6 for score in cam]
            for channel in range(4):
                values = features[image, channel].flatten().tolist()
                expected = sum(weight * value for weight, value in zip(weights, values, strict=True))
                assert pooled[image, name, channel].item() == pytest.approx(expected)
    assert (pooled[1, 2] == 0).all()


def test_the_loss_is_the_cross_entropy_of_each_label_under_its_own_cam() -> None:
    logits = numbers(2, 3, 3, 3)
    of_images = []
    for image, labels in enumerate(LABELS.tolist()):
        losses = []
        for name, there in enumerate(labels):
            exponentials = [math.exp(score) for score in logits[image, name].tolist()]
            if there:
                losses.append(-math.log(exponentials[name] / sum(exponentials)))
        of_images.append(sum(losses) / len(losses) if losses else 0.0)
    loss = refit_loss(logits, LABELS)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(sum(of_images) / 3)


def test_features_learn_and_the_cams_do_not() -> None:
    features, raw = numbers(3, 3, 4, 2, 2).requires_grad_(), numbers(4, 3, 3, 2, 2).requires_grad_()
    weights = numbers(5, 3, 4).requires_grad_()
    refit_loss(pooled_under_cams(features, raw) @ weights.T, LABELS).backward()
    for gradient in (features.grad, weights.grad):
        assert gradient is not None
        assert gradient.abs().sum() > 0
    assert raw.grad is None
    torch.autograd.gradcheck(
        lambda f, w: refit_loss(pooled_under_cams(f, raw.detach()) @ w.T, LABELS), (features, weights)
    )


def test_refitted_weights_leave_out_what_two_classes_share() -> None:
    """Channel 0 tells of either class, 1 of the first, 2 of the second: only these two get apart."""
    torch.manual_seed(0)
    features = torch.zeros(2, 3, 1, 2, dtype=torch.float64)
    features[0, :, 0] = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    features[1, :, 0] = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    labels = torch.eye(2, dtype=torch.float64)
    both = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]], dtype=torch.float64)
    raw = torch.einsum("kd,bdhw->bkhw", both, features)
    assert (raw > 0).all()  # each class is seen in every cell of either image
    weights = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=1.0)
    for _ in range(50):
        optimizer.zero_grad()
        refit_loss(pooled_under_cams(features, raw) @ weights.T, labels).backward()
        optimizer.step()
    assert weights[:, 0].abs().max() < 1e-6
    assert min(weights[0, 1], weights[1, 2]) > 0.5
    assert max(weights[0, 2], weights[1, 1]) < -0.5
