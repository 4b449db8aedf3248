"""ReLU6 in place that keeps one map: the same numbers as PyTorch's, for less memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wsss.models.backbones import build_backbone
from wsss.models.clipped import ClippedInPlace, clip_in_place


def plain(network: nn.Module) -> nn.Module:
    """A copy with PyTorch's ReLU6."""
    found = copy.deepcopy(network)
    for module in found.modules():
        if isinstance(module, ClippedInPlace):
            module.__class__ = nn.ReLU6
    return found


def learned(network: nn.Module, x: Tensor, half: bool) -> list[Tensor]:
    """Result, and the gradients of input and parameters."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = network(x)
    y.float().square().sum().backward()
    assert x.grad is not None
    return [y.detach(), x.grad, *(each.grad for each in network.parameters() if each.grad is not None)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_at_and_around_the_bounds(dtype: torch.dtype) -> None:
    x = torch.tensor(
        [-1.0, -0.0, 0.0, 1e-30, 3.0, 5.96875, 6.0, 7.0, float("inf"), float("nan")], dtype=dtype
    )
    found = []
    for layer in (nn.ReLU6(inplace=True), ClippedInPlace(inplace=True)):
        leaf = x.clone().requires_grad_()
        y = layer(leaf * 1)
        y.backward(torch.arange(1.0, 11.0, dtype=dtype))
        found.append((y.detach(), leaf.grad))
    for own, of_torch in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(own, of_torch, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("half", [False, True])
def test_a_backbone_learns_the_same_to_the_bit(half: bool) -> None:
    torch.manual_seed(0)
    network = build_backbone("mobilenet_v2", 16).eval()
    features = network.features
    assert sum(isinstance(module, ClippedInPlace) for module in features.modules()) == 35
    x = torch.randn(2, 3, 64, 64)
    for own, of_torch in zip(learned(features, x, half), learned(plain(features), x, half), strict=True):
        assert torch.equal(own, of_torch)


def test_a_training_keeps_one_map_of_each() -> None:
    def kept(layer: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        x = torch.randn(1, 4, 8, 8, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            (layer(x + 1) ** 2).sum().backward()
        return sum(sizes.values())

    assert kept(ClippedInPlace(inplace=True)) == 4 * 8 * 8
    assert kept(nn.ReLU6(inplace=True)) == 2 * 4 * 8 * 8


def test_what_came_in_is_what_goes_out() -> None:
    layer = ClippedInPlace(inplace=True)
    for grad in (True, False):
        x = torch.randn(5, requires_grad=True) + 0
        with torch.set_grad_enabled(grad):
            assert layer(x).data_ptr() == x.data_ptr()


def test_other_layers_stay_as_they_are() -> None:
    network = nn.Sequential(
        nn.ReLU6(), nn.ReLU(inplace=True), nn.Hardtanh(0, 6, inplace=True), nn.ReLU6(inplace=True)
    )
    clip_in_place(network)
    assert [type(layer) for layer in network] == [nn.ReLU6, nn.ReLU, nn.Hardtanh, ClippedInPlace]
