"""Grouped convolutions in training: equal to PyTorch's own, and right where those are wrong on a CPU."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wsss.models.backbones import build_backbone
from wsss.models.grouped import GroupedConv2d, train_in_groups


def convolution(**settings: int) -> nn.Conv2d:
    """A convolution of 16 channels that keeps the size of its input, but for its stride."""
    kernel_size, dilation = settings.get("kernel_size", 3), settings.get("dilation", 1)
    return nn.Conv2d(
        16,
        16,
        kernel_size,
        stride=settings.get("stride", 1),
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        groups=settings.get("groups", 16),
        bias=False,
    )


def in_groups(layer: nn.Conv2d) -> nn.Conv2d:
    """A copy of a layer with the same weights, as it is trained."""
    network = nn.Sequential(copy.deepcopy(layer))
    train_in_groups(network)
    found = network[0]
    assert isinstance(found, nn.Conv2d)
    return found


def gradients(layer: nn.Module, x: Tensor, of_output: Tensor, *, half: bool = False) -> list[Tensor]:
    """Output of a layer, gradient of its input and of its weights, in float64."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = layer(x)
    y.backward(of_output.to(y.dtype))
    (weights,) = layer.parameters()
    assert x.grad is not None
    assert weights.grad is not None
    return [found.double() for found in (y.detach(), x.grad, weights.grad)]


CASES = [
    *(
        {"dilation": d, "kernel_size": k, "groups": g}
        for d in (2, 3, 4)
        for k, g in ((3, 16), (5, 16), (3, 4))
    ),
    {"stride": 2},
    {"stride": 2, "kernel_size": 5},
    {"stride": 3},
]


@pytest.mark.parametrize("size", [(14, 14), (30, 37), (5, 3)])
@pytest.mark.parametrize("settings", CASES, ids=str)
def test_equal_to_the_plain_convolution(settings: dict[str, int], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain = convolution(**settings).double()
    changed = in_groups(plain)
    assert type(changed) is GroupedConv2d
    x = torch.randn(2, 16, *size, dtype=torch.float64)
    of_output = torch.randn_like(plain(x))
    for found, expected in zip(gradients(changed, x, of_output), gradients(plain, x, of_output), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [14, 29, 30, 32, 40])
@pytest.mark.parametrize("settings", CASES, ids=str)
def test_bfloat16_differs_by_rounding_alone(settings: dict[str, int], size: int) -> None:
    """PyTorch 2.14's own gradient of dilated weights is off by more than its length from 30 cells on."""
    torch.manual_seed(0)
    plain = convolution(**settings)
    changed, exact = in_groups(plain), copy.deepcopy(plain).double()
    x = torch.randn(2, 16, size, size).bfloat16().float().to(memory_format=torch.channels_last)
    of_output = torch.randn_like(plain(x)).bfloat16().float()
    with torch.no_grad():
        for layer in (changed, exact):
            layer.weight.copy_(plain.weight.bfloat16())
    expected = gradients(exact, x.double(), of_output.double())
    for found, right in zip(gradients(changed, x, of_output, half=True), expected, strict=True):
        assert (found - right).norm() < 0.01 * right.norm()


def test_whole_network_learns_the_same_in_bfloat16_and_float32() -> None:
    """MobileNetV2 at stride 8 on 40 x 40 cells, where its dilated layers are."""
    torch.manual_seed(0)
    network = build_backbone("mobilenet_v2", 8).to(memory_format=torch.channels_last)
    network.train()
    train_in_groups(network)
    x = torch.randn(2, 3, 320, 320).to(memory_format=torch.channels_last)
    of_output = torch.randn(2, 320, 40, 40)
    names = [name for name, module in network.named_modules() if type(module) is GroupedConv2d]
    assert len(names) == 12  # two with a stride, ten dilated
    found = {}
    for half in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            last = network(x).last
        (last.float() * of_output).sum().backward()
        weights = {name: network.get_parameter(f"{name}.weight").grad for name in names}
        found[half] = {name: grad.flatten().clone() for name, grad in weights.items() if grad is not None}
    for name in names:
        alike = torch.cosine_similarity(found[False][name], found[True][name], dim=0)
        assert alike > 0.3, name  # a gradient that is memory nobody has written has none of it


def test_weights_keep_their_names_and_place() -> None:
    network = build_backbone("mobilenet_v2", 16)
    before = {name: value.data_ptr() for name, value in network.state_dict().items()}
    train_in_groups(network)
    assert {name: value.data_ptr() for name, value in network.state_dict().items()} == before


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(16, 16, 3, padding=2, dilation=2),  # not in groups
        nn.Conv2d(16, 16, 3, padding=1, groups=16),  # neither dilated nor strided
        nn.Conv2d(16, 16, 3, padding=1, stride=2, groups=8),  # strided, and not depthwise
        nn.Conv2d(16, 16, 3, padding=1, dilation=2, groups=16),  # makes its input smaller
        nn.Conv2d(16, 16, 4, padding=4, dilation=2, groups=16),  # no middle
        nn.Conv2d(16, 16, 3, padding=2, dilation=2, stride=2, groups=16),
        nn.Conv2d(16, 16, 3, padding=(1, 2), dilation=(1, 2), groups=16),
        nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=16, padding_mode="reflect"),
    ],
    ids=str,
)
def test_others_stay_what_they_are(layer: nn.Conv2d) -> None:
    assert type(in_groups(layer)) is nn.Conv2d


def test_evaluation_takes_the_plain_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = in_groups(convolution(dilation=2))
    monkeypatch.setattr(GroupedConv2d, "_on_each_grid", lambda layer, x: pytest.fail("in evaluation"))
    assert changed.eval()(torch.randn(1, 16, 8, 8)).shape == (1, 16, 8, 8)
