"""Losses for masks that are partly wrong, against sums over pixels and classes in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsss.method.noisy_labels import bootstrapped_cross_entropy, cross_entropy, symmetric_cross_entropy

SHAPE = (2, 3, 4, 5)


def sample(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits in float64, and masks with every value and with unknown pixels."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    masks = torch.randint(0, 4, (2, 4, 5), generator=generator).to(torch.uint8)
    masks[masks == 3] = 255
    return logits, masks


def each_pixel(logits: Tensor, masks: Tensor):
    """Place, probabilities and class of every known pixel."""
    probabilities = logits.softmax(1)
    for image, row, column in torch.cartesian_prod(*(torch.arange(n) for n in (2, 4, 5))).tolist():
        value = int(masks[image, row, column])
        if value != 255:
            yield (image, row, column), probabilities[image, :, row, column].tolist(), value


def test_cross_entropy_is_minus_the_logarithm() -> None:
    logits, masks = sample()
    losses = cross_entropy(logits, masks)
    for place, p, value in each_pixel(logits, masks):
        assert losses[place].item() == pytest.approx(-math.log(p[value]))
    assert (losses[masks == 255] == 0).all()


@pytest.mark.parametrize(("forward", "reverse"), [(1.0, 0.0), (0.0, 1.0), (0.1, 2.0)])
def test_symmetric_cross_entropy_is_the_sum_of_both_directions(forward: float, reverse: float) -> None:
    logits, masks = sample(1)
    losses = symmetric_cross_entropy(logits, masks, forward, reverse)
    for place, p, value in each_pixel(logits, masks):
        back = -sum(share * (0.0 if name == value else -4.0) for name, share in enumerate(p))
        assert losses[place].item() == pytest.approx(-forward * math.log(p[value]) + reverse * back)
    assert (losses[masks == 255] == 0).all()


@pytest.mark.parametrize("target", ["soft", "hard"])
@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_bootstrapped_cross_entropy_has_a_mixed_target(target, share: float) -> None:
    logits, masks = sample(2)
    losses = bootstrapped_cross_entropy(logits, masks, share, target)
    for place, p, value in each_pixel(logits, masks):
        best = max(range(len(p)), key=p.__getitem__)
        own = p if target == "soft" else [float(name == best) for name in range(len(p))]
        mixed = [share * (name == value) + (1 - share) * own[name] for name in range(len(p))]
        expected = -sum(weight * math.log(q) for weight, q in zip(mixed, p, strict=True))
        assert losses[place].item() == pytest.approx(expected)
    assert (losses[masks == 255] == 0).all()


@given(st.floats(2.0, 30.0))
@settings(max_examples=30, deadline=None)
def test_a_pixel_that_the_network_denies_pulls_less_the_more_it_is_denied(logit: float) -> None:
    logits = torch.tensor([0.0, logit], dtype=torch.float64).view(1, 2, 1, 1).requires_grad_()
    denied = torch.zeros(1, 1, 1, dtype=torch.uint8)

    def pull(loss: Tensor) -> float:
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        return float(gradient.abs().max())

    assert pull(cross_entropy(logits, denied)) > 0.85
    assert pull(symmetric_cross_entropy(logits, denied, 0.0, 1.0)) <= 4 * math.exp(-logit) + 1e-12
    assert pull(bootstrapped_cross_entropy(logits, denied, 0.5, "hard")) < 0.55
