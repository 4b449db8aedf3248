"""Batch norms that stand still, in prediction or frozen in a training, folded into the convolution before.

The norm of a convolution is a convolution with other weights (Jacob et al., CVPR 2018, section 3.2). So the
norm costs a pass over the weights in place of one over the feature map, forwards and backwards, and the map
before it is not kept. State dicts, and what is learned, stay as they are.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsss.models.grouped import GroupedConv2d


class FoldingSequential(nn.Sequential):
    """Layers in a row, in which a convolution and the norm after it are one while the norm stands still."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """``(B, C, h, w)`` → what `torch.nn.Sequential` makes of it, up to rounding."""
        layers = list(self)
        while layers:
            layer = layers.pop(0)
            norm = _norm_after(layer, layers[0]) if layers else None
            if isinstance(layer, nn.Conv2d) and norm is not None and _stands(norm):
                x = _normalized(layer, norm, x)
                layers.pop(0)
            else:
                x = layer(x)
        return x


def fold_batch_norms(network: nn.Module) -> None:
    """Make the rows of layers in a network a `FoldingSequential` each, where that makes a difference."""
    for module in network.modules():
        plain = isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
        if plain and any(_norm_after(*pair) is not None for pair in pairwise(module.children())):
            module.__class__ = FoldingSequential  # it keeps its layers, and its place in the network


def _norm_after(layer: nn.Module, following: nn.Module) -> nn.BatchNorm2d | None:
    """The batch norm of a convolution, if the two can be one."""
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros":
        return None
    if type(following) is not nn.BatchNorm2d:  # a subclass may do more
        return None
    return following if following.track_running_stats and following.affine else None


def _stands(norm: nn.BatchNorm2d) -> bool:
    """Whether it stands still here. Files for other programs have plain layers, which these fold."""
    return not norm.training and not torch.compiler.is_compiling()


def _normalized(layer: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Convolve, and norm with the running statistics."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    mean = norm.running_mean if layer.bias is None else norm.running_mean - layer.bias
    weight, bias = layer.weight * scale[:, None, None, None], norm.bias - mean * scale
    if isinstance(layer, GroupedConv2d):
        return layer.convolved(x, weight, bias)
    return functional.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
