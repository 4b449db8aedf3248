"""Convolutions in groups, such as MobileNet's depthwise ones, as a CPU trains them quickly and rightly.

With oneDNN in PyTorch 2.14 the backward pass of a depthwise convolution in bfloat16 has a slow kernel where
it is dilated or has a stride. From 30 x 30 cells on, the weights' gradient of a dilated one, of groups of any
size, is wrong: memory that nobody has written (`tests/unit/test_grouped.py` shows it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class GroupedConv2d(nn.Conv2d):
    """A grouped convolution that, while it is trained on a CPU, takes kernels that are fast and right.

    With dilation d, the d² grids of every d-th cell do not know of each other: each is convolved by itself,
    without dilation (Shensa, IEEE Transactions on Signal Processing 1992). With a stride, it computes in
    float32. What comes out is the same up to rounding.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → what `torch.nn.Conv2d` makes of it."""
        return self.convolved(x, self.weight, self.bias)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Do the same with weights and a bias that stand for its own."""
        if self.training and x.device.type == "cpu":
            if self.dilation[0] > 1:
                return self._on_each_grid(x, weight, bias)
            if self.stride[0] > 1 and torch.is_autocast_enabled("cpu"):
                with torch.autocast("cpu", enabled=False):
                    found: Tensor = self._conv_forward(x.float(), weight, bias)
                return found.to(torch.get_autocast_dtype("cpu"))
        plain: Tensor = self._conv_forward(x, weight, bias)
        return plain

    def _on_each_grid(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        (b, c, h, w), d = x.shape, self.dilation[0]
        rows, columns = -(-h // d), -(-w // d)
        padded = functional.pad(x, (0, columns * d - w, 0, rows * d - h))
        # With the channels last, as in memory, whole cells move.
        grids = padded.permute(0, 2, 3, 1).reshape(b, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5)
        grids = grids.reshape(b * d * d, rows, columns, c).permute(0, 3, 1, 2)
        margin = (self.kernel_size[0] // 2, self.kernel_size[1] // 2)
        found = functional.conv2d(grids, weight, bias, padding=margin, groups=self.groups)
        found = found.permute(0, 2, 3, 1).reshape(b, d, d, rows, columns, -1).permute(0, 3, 1, 4, 2, 5)
        return found.reshape(b, rows * d, columns * d, -1)[:, :h, :w].permute(0, 3, 1, 2)


def train_in_groups(network: nn.Module) -> None:
    """Make every convolution of a network a `GroupedConv2d`, in place, where that makes a difference."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.groups > 1 and (_is_dilated(module) or _is_strided(module)):
            module.__class__ = GroupedConv2d  # it keeps its weights, and its place in the network


def _is_dilated(module: nn.Conv2d) -> bool:
    """Whether it is dilated alike in both directions and keeps the size of its input."""
    spread = module.dilation[0]
    same = tuple(spread * (side // 2) for side in module.kernel_size)
    odd = all(side % 2 for side in module.kernel_size)
    return (
        spread > 1
        and module.dilation == (spread, spread)
        and module.stride == (1, 1)
        and odd
        and module.padding == same
        and module.padding_mode == "zeros"
    )


def _is_strided(module: nn.Conv2d) -> bool:
    """Whether it is depthwise and has a stride; larger groups have fast kernels of their own."""
    return module.groups == module.in_channels and module.stride[0] > 1 and module.dilation == (1, 1)
