"""Equivariance of CAMs: the loss against sums over cells in float64, and what is equivariant or not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsss.method.equivariance import equivariance_loss, mirrored_view

LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


def maps(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def divided(values: list[list[float]]) -> list[list[float]]:
    """Rectified, and divided by the maximum."""
    positive = [[max(value, 0.0) for value in row] for row in values]
    peak = max(map(max, positive)) + 1e-5
    return [[value / peak for value in row] for row in positive]


def test_the_loss_is_the_mean_difference_of_the_cells_of_the_view() -> None:
    raw, raw_of_view = maps(0, 2, 3, 4, 6), maps(1, 2, 3, 2, 3)
    differences = []
    for image in range(2):
        for name in range(3):
            whole, view = (divided(scores[image, name].tolist()) for scores in (raw, raw_of_view))
            for row in range(2):
                for column in range(3):
                    four = [whole[2 * row + i][2 * (2 - column) + j] for i in (0, 1) for j in (0, 1)]
                    difference = abs(view[row][column] - sum(four) / 4)
                    differences.append(difference * LABELS[image, name].item())
    loss = equivariance_loss(raw, raw_of_view, LABELS)
    assert loss.dtype == torch.float64
    assert loss.item() == pytest.approx(sum(differences) / len(differences))


@settings(deadline=None, max_examples=25)
@given(height=st.integers(1, 5), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_it_is_0_for_an_equivariant_network(height: int, width: int, seed: int) -> None:
    """One that sees each pixel by itself, on images of squares of 2 x 2 pixels, which halve exactly."""
    weights = maps(seed, 3, 3, 1, 1)
    images = maps(seed + 1, 2, 3, height, width).repeat_interleave(2, -2).repeat_interleave(2, -1)
    views = mirrored_view(images, (height, width))
    raw, raw_of_view = (torch.nn.functional.conv2d(seen, weights) for seen in (images, views))
    assert equivariance_loss(raw, raw_of_view, LABELS).item() < 1e-12


def test_it_is_not_0_for_a_network_that_knows_left_from_right() -> None:
    images = maps(3, 2, 3, 4, 4).abs().repeat_interleave(2, -2).repeat_interleave(2, -1)
    views = mirrored_view(images, (4, 4))
    raw, raw_of_view = (seen * torch.linspace(0, 1, seen.shape[-1]) for seen in (images, views))
    assert equivariance_loss(raw, raw_of_view, LABELS).item() > 0.05


def test_classes_that_an_image_does_not_have_do_not_count() -> None:
    raw, raw_of_view = maps(4, 2, 3, 4, 4), maps(5, 2, 3, 2, 2)
    other = torch.where(LABELS[..., None, None] > 0, raw, maps(6, 2, 3, 4, 4))
    assert not torch.equal(raw, other)
    assert equivariance_loss(raw, raw_of_view, LABELS) == equivariance_loss(other, raw_of_view, LABELS)
    assert equivariance_loss(raw, raw_of_view, torch.zeros(2, 3)) == 0


def test_both_sides_learn_and_the_gradient_is_that_of_differences() -> None:
    raw, raw_of_view = maps(7, 2, 3, 4, 4).requires_grad_(), maps(8, 2, 3, 2, 2).requires_grad_()
    torch.autograd.gradcheck(lambda a, b: equivariance_loss(a, b, LABELS), (raw, raw_of_view))
    equivariance_loss(raw, raw_of_view, LABELS).backward()
    for gradient in (raw.grad, raw_of_view.grad):
        assert gradient is not None
        there = gradient.abs().sum((-2, -1)) > 0
        assert torch.equal(there, LABELS > 0)


def test_a_network_learns_to_be_equivariant() -> None:
    """A convolution whose kernel looks to one side, and whose classes are those of its labels throughout."""
    torch.manual_seed(0)
    images = maps(9, 4, 3, 16, 16)
    labels = torch.tensor([[1, 0], [0, 1], [1, 1], [1, 0]], dtype=torch.float64)
    network = torch.nn.Conv2d(3, 2, 5, padding=2, dtype=torch.float64)
    views = mirrored_view(images, (8, 8))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    unlike = []
    for _ in range(60):
        raw, raw_of_view = network(images), network(views)
        unlike.append(equivariance_loss(raw, raw_of_view, labels))
        known = torch.nn.functional.multilabel_soft_margin_loss(raw.mean((-2, -1)), labels)
        optimizer.zero_grad()
        (known + unlike[-1]).backward()
        optimizer.step()
    assert unlike[-1] < 0.75 * unlike[0]
    assert (raw.amax((-2, -1))[labels > 0] > 0).all()  # and not by seeing nothing


def test_a_view_is_smaller_and_mirrored() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert mirrored_view(image, (2, 2)).tolist() == [[[[4.5, 2.5], [12.5, 10.5]]]]
