"""Distances of neighbouring cells' features, forward and backward, without the features of all pairs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def pair_distance(cells: Tensor, shifts: Tensor) -> Tensor:
    """Mean absolute difference between each row of `cells` and the rows that lie some shifts further on.

    Args:
        cells: (N, D), float32 or float64.
        shifts: (P,) int64 on the CPU, above 0.

    Returns:
        (P, N), dtype of `cells`; 0 where a shift leads past the last row.

    """
    distance: Tensor = _PairDistance.apply(cells.contiguous(), shifts)
    return distance


class _PairDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, shifts: Tensor) -> Tensor:
        ctx.save_for_backward(cells)
        ctx.shifts = shifts
        distance: Tensor = _engine(cells.device).distance(cells, shifts)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_distance: Tensor) -> tuple[Tensor, None]:
        (cells,) = ctx.saved_tensors
        return _engine(cells.device).gradient(cells, ctx.shifts, grad_distance), None


def _engine(device: torch.device) -> ModuleType:
    """Choose the fastest code for a device; its module, with its compiler, is imported only where used."""
    name = "triton_engine" if device.type == "cuda" and find_spec("triton") else "torch_engine"
    return import_module(f"{__package__}.{name}")
