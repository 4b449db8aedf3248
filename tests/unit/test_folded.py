"""Batch norms that stand still, folded into the convolutions before them: equal to those that are not."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wsss.models.backbones import build_backbone
from wsss.models.folded import FoldingSequential, fold_batch_norms
from wsss.models.grouped import train_in_groups
from wsss.models.segmenter import build_segmenter
from wsss.study.config import Segmenter


def moved(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give batch norms statistics, weights and biases that make a difference."""
    generator = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            with torch.no_grad():
                for tensor, low, high in (
                    (norm.running_mean, -0.5, 0.5),
                    (norm.running_var, 0.2, 3.0),
                    (norm.weight, -1.5, 1.5),
                    (norm.bias, -0.5, 0.5),
                ):
                    tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))
    return network


def plain(network: nn.Module) -> nn.Module:
    """A copy of a network without the folding."""
    found = copy.deepcopy(network)
    for module in found.modules():
        if isinstance(module, FoldingSequential):
            module.__class__ = nn.Sequential
    return found


def rows(network: nn.Module) -> int:
    return sum(isinstance(module, FoldingSequential) for module in network.modules())


def layers(**settings: int) -> nn.Sequential:
    """Two convolutions with norms, one of them in groups, and layers in between."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=bool(settings.get("bias"))),
        nn.BatchNorm2d(8, eps=1e-2),
        nn.ReLU6(inplace=True),
        nn.Conv2d(
            8,
            8,
            3,
            stride=settings.get("stride", 1),
            padding=settings.get("dilation", 1),
            dilation=settings.get("dilation", 1),
            groups=settings.get("groups", 1),
            bias=False,
        ),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 4, 1),
    )


def learned(network: nn.Module, x: Tensor, half: bool = False) -> list[Tensor]:
    """Output, and the gradients of input and of all parameters that learn."""
    x = x.clone().requires_grad_()
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = network(x)
    torch.manual_seed(7)
    y.backward(torch.randn(y.shape).to(y.dtype))
    assert x.grad is not None
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return [found.double() for found in (y.detach(), x.grad, *gradients)]


CASES = [
    {},
    {"bias": 1},
    {"groups": 8, "dilation": 2},
    {"groups": 8, "stride": 2},
    {"groups": 2, "dilation": 2},
    {"stride": 2, "bias": 1},
]


@pytest.mark.parametrize("learns", [False, True], ids=["frozen", "affine"])
@pytest.mark.parametrize("settings", CASES, ids=str)
def test_output_and_gradients_are_those_of_the_layers_in_turn(settings: dict[str, int], learns: bool) -> None:
    """In float64, in a training whose norms stand still, with and without weights that learn."""
    network = moved(layers(**settings)).double()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval().requires_grad_(learns)
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    train_in_groups(folded)
    assert rows(folded) == 1
    torch.manual_seed(1)
    x = torch.randn(2, 3, 13, 9, dtype=torch.float64)
    for found, expected in zip(learned(folded, x), learned(network, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_norms_that_learn_their_statistics_are_not_folded(settings: dict[str, int]) -> None:
    network = moved(layers(**settings))
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    x = torch.randn(2, 3, 13, 9)
    for found, expected in zip(learned(folded, x), learned(network, x), strict=True):
        assert torch.equal(found, expected)
    for (name, buffer), other in zip(folded.named_buffers(), network.buffers(), strict=True):
        assert torch.equal(buffer, other), name


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_bfloat16_rounds_no_worse_than_the_layers_in_turn(settings: dict[str, int]) -> None:
    network = moved(layers(**settings)).eval()
    for norm in network.modules():
        norm.requires_grad_(not isinstance(norm, nn.BatchNorm2d))
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    torch.manual_seed(2)
    x = torch.randn(2, 3, 32, 32)
    exact = learned(copy.deepcopy(network), x)
    found, turned = (learned(changed, x, half=True) for changed in (folded, network))
    for ours, theirs, expected in zip(found, turned, exact, strict=True):
        assert (ours - expected).norm() < 2 * (theirs - expected).norm() + 1e-3 * expected.norm()


@pytest.mark.parametrize("name", ["mobilenet_v2", "small"])
def test_backbones_of_rows_of_layers_are_folded(name: str) -> None:
    network = moved(build_backbone(name, 16)).eval()
    assert rows(network) > 3
    assert network.state_dict().keys() == plain(network).state_dict().keys()
    x = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        for found, expected in zip(network(x), plain(network)(x), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_the_head_of_a_segmentation_network_is_folded() -> None:
    section = Segmenter(backbone="small", head="deeplabv3", output_stride=16, crop_size=64)
    network = moved(build_segmenter(section, 3)).eval()
    assert rows(network.get_submodule("head"))
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), plain(network)(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "following",
    [
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.BatchNorm2d(4, affine=False),
        nn.GroupNorm(2, 4),
        nn.SyncBatchNorm(4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_norms_stay(following: nn.Module) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), following)
    fold_batch_norms(network)
    assert rows(network) == 0


def test_other_paddings_and_rows_of_their_own_kind_stay() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return x

    padded = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4))
    network = nn.ModuleList([padded, Own(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))])
    fold_batch_norms(network)
    assert rows(network) == 0


def test_a_program_for_elsewhere_has_the_layers_themselves() -> None:
    network = moved(layers()).eval()
    fold_batch_norms(network)
    x = torch.randn(1, 3, 16, 16)
    program = torch.export.export(network, (x,))
    called = [str(node.target) for node in program.graph.nodes]
    assert sum("batch_norm" in name for name in called) == 2
    torch.testing.assert_close(program.module()(x), network(x), rtol=1e-4, atol=1e-4)
