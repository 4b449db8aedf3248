"""ReLU6 of which a training keeps one map.

PyTorch's, even in place, keeps a copy of what went in besides what came out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

LEAST, MOST = 0.0, 6.0


class ClippedInPlace(nn.ReLU6):
    """`torch.nn.ReLU6` in place, forwards and backwards the same to the bit."""

    def forward(self, x: Tensor) -> Tensor:
        """Clip ``x`` to [0, 6], which it becomes."""
        if torch.is_grad_enabled() and x.requires_grad and not torch.compiler.is_compiling():
            clipped: Tensor = _Clip.apply(x)  # type: ignore[no-untyped-call]
            return clipped
        return super().forward(x)  # what exports know


def clip_in_place(network: nn.Module) -> None:
    """Make each ReLU6 in place a `ClippedInPlace`."""
    for module in network.modules():
        if type(module) is nn.ReLU6 and module.inplace:
            module.__class__ = ClippedInPlace


class _Clip(Function):
    """The gradient passes where the result is strictly within its bounds, as where the input was."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        clipped = x.clamp_(LEAST, MOST)
        ctx.mark_dirty(clipped)
        ctx.save_for_backward(clipped)
        return clipped

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (clipped,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, clipped, LEAST, MOST)
        return passed
