"""Batch norms that take their statistics over the images of all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wsss.runtime.processes import process_count


class _Total(torch.autograd.Function):
    """Sum over all processes; each one's loss depends on it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        """Return the sum."""
        summed = tensor.contiguous().clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return the sum of the gradients."""
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed


class SharedBatchNorm(_BatchNorm):
    """Batch norm over the batches of all processes together, on CPUs, for which PyTorch has none.

    Modules that it holds follow in their order, as timm's activations in its norms.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map values (B, C, ...) to the same shape; the batches of all processes have the same shape too."""
        if not self.training:
            return _followed(self, super().forward(x))
        values = x if x.dtype == torch.float64 else x.float()
        across = [axis for axis in range(x.ndim) if axis != 1]
        count = x.numel() // x.shape[1] * process_count()
        mean = _Total.apply(values.sum(across, keepdim=True)) / count
        centred = values - mean
        variance = _Total.apply(centred.square().sum(across, keepdim=True)) / count
        self._remember(mean.flatten(), variance.flatten() * count / (count - 1))
        normalised = centred * (variance + self.eps).rsqrt()
        if self.affine:
            normalised = normalised * self.weight.view_as(mean) + self.bias.view_as(mean)
        return _followed(self, normalised.to(x.dtype))

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics (C,) towards those of this batch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(variance.to(self.running_var.dtype), weight)

    def _check_input_dim(self, input: Tensor) -> None:
        """Take maps and vectors alike."""


class SyncBatchNorm(nn.SyncBatchNorm):
    """PyTorch's batch norm over the batches of all processes, on GPUs; what it holds follows."""

    def forward(self, input: Tensor) -> Tensor:
        """Map maps (B, C, h, w) to the same shape."""
        return _followed(self, super().forward(input))


def share_batch_norms(network: nn.Module, device: torch.device) -> None:
    """Let the trained batch norms of a network, in place, take their statistics over all processes.

    Frozen ones, in evaluation mode while the network trains, stay. Parameters, buffers and their names stay.
    A batch of one image per process is no special case: there are always two images or more.

    Raises:
        TypeError: a batch norm does more than normalise, and it is not known what.
    """
    network.train()
    for name, module in list(network.named_modules()):
        if isinstance(module, _BatchNorm) and module.training:
            _require_known(name, module)
            parent, _, attribute = name.rpartition(".")
            setattr(network.get_submodule(parent), attribute, _shared(module, device))


def _shared(module: _BatchNorm, device: torch.device) -> nn.Module:
    kind = SyncBatchNorm if device.type == "cuda" else SharedBatchNorm
    shared = kind(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(shared, name, getattr(module, name))
    for name, child in module.named_children():
        shared.add_module(name, child)
    return shared


def _require_known(name: str, module: _BatchNorm) -> None:
    children = [child for child, _ in module.named_children()]
    if not set(children) <= {"drop", "act"}:
        raise TypeError(
            f"{name}: {type(module).__name__} with {', '.join(children)} cannot take its statistics over "
            "several processes: train on one GPU, or set batch_norm: frozen"
        )


def _followed(module: nn.Module, x: Tensor) -> Tensor:
    for child in module.children():
        x = child(x)
    return x
