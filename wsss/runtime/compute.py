"""Where and how networks compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from wsss.runtime.devices import autocast, set_threads, worker_count

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Compute:
    """Where and how networks compute; results depend on it only by rounding.

    Attributes:
        device: CPU or GPU.
        precision: "auto", "float32" or "bfloat16", see `autocast`.
        workers: number of threads that decode and augment images ahead of the network; 0: the network's own.
    """

    device: torch.device
    precision: str = "auto"
    workers: int = 0

    @classmethod
    def of(cls, device: torch.device, precision: str, threads: int) -> Self:
        """Divide the threads of a job between its network and the loading of images.

        On a CPU the network gets all of them: a separate loading thread costs more than it saves, because the
        two wait for each other's core (on two cores 1.8 steps/s instead of 5.1 for AffinityNet on the small
        backbone).
        """
        on_cpu = device.type == "cpu"
        set_threads(threads if on_cpu else 1)
        return cls(device, precision, 0 if on_cpu else worker_count(threads))

    @property
    def batch_pixels(self) -> int:
        """Pixels of an inference batch: 16 images of 256 x 256 on a CPU, more on a GPU."""
        return 2**20 if self.device.type == "cpu" else 2**23

    def autocast(self) -> torch.autocast:
        """Return the autocast context in which networks run."""
        return autocast(self.device, self.precision)

    def place(self, network: Network) -> Network:
        """Move a network to the device, its weights in channels_last layout: faster for convolutions."""
        return network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def put(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; images and feature maps get channels_last layout."""
        layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        return tensor.to(self.device, memory_format=layout)
