"""IRN's losses against pairs that are looked at one by one, in float64, with the gradients of autograd."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsss.method.affinity import (
    boundary_stencil,
    displacement_losses,
    half_plane_offsets,
    pair_counts,
    pair_targets,
)
from wsss.stages.irnet import IrnLoss

GUARD = 1e-5


def pairs(labels: Tensor, radius: int) -> Iterator[tuple[str, int, tuple[int, int], tuple[int, int]]]:
    """Every pair of decided cells of a batch (B, H, W): kind, image, and both cells, each pair once."""
    batch, height, width = labels.shape
    cells = [(y, x) for y in range(height) for x in range(width)]
    for image in range(batch):
        for number, one in enumerate(cells):
            for other in cells[number + 1 :]:
                first, second = labels[image][one].item(), labels[image][other].item()
                near = math.dist(one, other) < radius
                if near and 255 not in (first, second):
                    alike = "foreground" if first else "background"
                    yield (alike if first == second else "different"), image, one, other


def path(one: tuple[int, int], other: tuple[int, int]) -> list[tuple[int, int]]:
    """The cells of the bounding box that lie less than one cell from the line through both."""
    (y, x), (v, u) = one, other
    box = [(a, b) for a in range(min(y, v), max(y, v) + 1) for b in range(min(x, u), max(x, u) + 1)]
    length = math.dist(one, other)
    return [(a, b) for a, b in box if abs((a - y) * (u - x) - (b - x) * (v - y)) / length < 1 - 1e-9]


def mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum() / (len(values) + GUARD) if values else torch.zeros(()).double()


def oracle(boundary: Tensor, displacement: Tensor, labels: Tensor, radius: int) -> dict[str, Tensor]:
    """The loss of IRN and its terms, from a boundary (B, H, W) and displacements (B, 2, H, W)."""
    logs: dict[str, list[Tensor]] = {"background": [], "foreground": [], "different": []}
    moved: dict[str, list[Tensor]] = {"background": [], "foreground": []}
    for kind, image, one, other in pairs(labels, radius):
        affinity = 1 - torch.stack([boundary[image][cell] for cell in path(one, other)]).max()
        logs[kind].append(-torch.log(1 - affinity + GUARD if kind == "different" else affinity + GUARD))
        for axis in (0, 1):
            if kind != "different":
                difference = displacement[image, axis][one] - displacement[image, axis][other]
                aim = other[axis] - one[axis] if kind == "foreground" else 0
                moved[kind].append((difference - aim).abs())
    terms = {kind: mean(values) for kind, values in logs.items()}
    terms |= {f"displacement_{kind}": mean(values) for kind, values in moved.items()}
    positive = terms["background"] / 2 + terms["foreground"] / 2
    fields = terms["displacement_background"] / 2 + terms["displacement_foreground"] / 2
    return {"loss": positive / 2 + terms["different"] / 2 + fields, **terms}


class Given:
    """Stands in for a network whose outputs are its features, radius and all."""

    border = "full"

    def __init__(self, radius: int, displacement: bool = True) -> None:
        self.radius, self.displacement = radius, displacement

    def boundary_logits(self, features: list[Tensor]) -> Tensor:
        return features[0]

    def displacements(self, features: list[Tensor]) -> Tensor | None:
        return features[1] if self.displacement else None


def random_case(seed: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, displacements and labels of two images, of which a fifth is undecided."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, height, width, generator=generator, dtype=torch.float64)
    displacement = 3 * torch.randn(2, 2, height, width, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 2, 255], dtype=torch.uint8)[
        torch.randint(5, (2, height, width), generator=generator)
    ]
    return logits.requires_grad_(), displacement.requires_grad_(), labels


@pytest.mark.parametrize("radius", [2, 3, 5])
@pytest.mark.parametrize("size", [(1, 6), (5, 6)])
def test_losses_and_gradients_are_those_of_single_pairs(radius: int, size: tuple[int, int]) -> None:
    logits, displacement, labels = random_case(radius, *size)
    losses = IrnLoss(Given(radius)).losses([logits, displacement], labels)
    expected = oracle(logits.sigmoid(), displacement, labels, radius)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=2e-5, atol=1e-9)  # n + 1e-5 is not n pairs
    found = torch.autograd.grad(losses["loss"], [logits, displacement])
    wanted = torch.autograd.grad(expected["loss"], [logits, displacement])
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=1e-9)


def test_without_the_branch_the_loss_is_that_of_the_boundary() -> None:
    logits, displacement, labels = random_case(0, 4, 5)
    losses = IrnLoss(Given(3, displacement=False)).losses([logits, displacement], labels)
    expected = oracle(logits.sigmoid(), displacement, labels, 3)
    assert set(losses) == {"loss", "background", "foreground", "different"}
    halves = expected["background"] / 4 + expected["foreground"] / 4 + expected["different"] / 2
    torch.testing.assert_close(losses["loss"], halves, rtol=2e-5, atol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(2, 6), st.integers(0, 999))
def test_the_gradient_of_an_affinity_goes_to_the_largest_boundary_of_its_path(
    height: int, width: int, radius: int, seed: int
) -> None:
    values = np.random.default_rng(seed).permutation(2 * height * width) / (2 * height * width)
    boundary = torch.tensor(values.reshape(2, height, width), requires_grad=True)
    stencil = boundary_stencil(boundary, radius)
    weights = torch.randn(stencil.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * stencil).sum(), [boundary])
    expected, affinities = np.zeros((2, height, width)), torch.zeros_like(stencil)
    offsets = [tuple(offset) for offset in half_plane_offsets(radius).tolist()]
    everything = torch.zeros(2, height, width, dtype=torch.uint8)
    for _, image, one, other in pairs(everything, radius):
        place = (image, offsets.index((other[0] - one[0], other[1] - one[1])), *one)
        largest = max(path(one, other), key=lambda cell: boundary[image][cell].item())
        affinities[place] = 1 - boundary[image][largest].item()
        expected[image][largest] -= weights[place].item()
    torch.testing.assert_close(stencil.detach(), affinities)
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-12)


def test_displacements_to_the_centre_of_the_object_have_no_loss() -> None:
    """Those of two objects of different classes, each to its own centre, and background without any."""
    labels = torch.zeros(1, 6, 12, dtype=torch.uint8)
    labels[:, 1:5, 1:5], labels[:, 1:5, 6:11] = 1, 2
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(12.0), indexing="ij")
    displacement = torch.zeros(1, 2, 6, 12)
    for value, centre in ((1, (2.5, 2.5)), (2, (2.5, 8.0))):
        aims = torch.stack([centre[0] - y, centre[1] - x])
        displacement[0] = torch.where(labels[0] == value, aims, displacement[0])
    foreground, background = displacement_losses(displacement, pair_targets(labels, 5), 5)
    assert (foreground.item(), background.item()) == (0, 0)
    foreground, background = displacement_losses(-displacement, pair_targets(labels, 5), 5)
    assert foreground > 1
    assert background == 0


def test_parts_of_a_batch_add_up() -> None:
    _, displacement, labels = random_case(3, 5, 6)
    targets = pair_targets(labels, 4)
    whole = displacement_losses(displacement, targets, 4)
    parts = [
        displacement_losses(
            displacement[i : i + 1], pair_targets(labels[i : i + 1], 4), 4, pair_counts(targets)
        )
        for i in range(2)
    ]
    for value, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(value, sum(pieces))
