"""Where and how networks compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from wsss.runtime.devices import autocast, worker_count
from wsss.runtime.this_process import set_threads

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Compute:
    """Where and how networks compute; results depend on it only by rounding.

    Attributes:
        device: CPU or GPU of this process.
        precision: "auto", "float32" or "bfloat16", see `autocast`.
        workers: number of threads that decode and augment images ahead of the network; 0: the network's own.
        devices: one device per process that trains, by rank; empty: this process trains alone.
        rank: number of this process among those that train, from 0.
    """

    device: torch.device
    precision: str = "auto"
    workers: int = 0
    devices: tuple[torch.device, ...] = ()
    rank: int = 0

    @classmethod
    def of(cls, devices: torch.device | Sequence[torch.device], precision: str, threads: int) -> Self:
        """Divide the threads of a job between its networks and the loading of images.

        On a CPU the network gets all of them: a separate loading thread costs more than it saves, because the
        two wait for each other's core (on two cores 1.8 steps/s instead of 5.1 for AffinityNet on the small
        backbone).

        Args:
            devices: of this job, as `gpu_slots` yields them; several train together, one process on each.
            precision: "auto", "float32" or "bfloat16".
            threads: CPU threads of the job.
        """
        held = (devices,) if isinstance(devices, torch.device) else tuple(devices)
        on_cpu = held[0].type == "cpu"
        set_threads(threads if on_cpu else 1)
        workers = 0 if on_cpu else worker_count(threads // len(held))
        return cls(held[0], precision, workers, held if len(held) > 1 else ())

    @property
    def processes(self) -> int:
        """Number of processes that train together."""
        return max(1, len(self.devices))

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and shows the progress of all."""
        return self.rank == 0

    def of_rank(self, rank: int) -> Self:
        """Return where and how the process ``rank`` of ``processes`` computes."""
        return replace(self, device=self.devices[rank], rank=rank)

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

    def pin(self, tensor: Tensor) -> Tensor:
        """Copy a tensor to page-locked memory if a GPU is to read it, so that nothing waits for the copy."""
        return tensor.pin_memory() if self.device.type == "cuda" and not tensor.is_cuda else tensor

    def put(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device; images and feature maps get channels_last layout.

        The copy to a GPU is asynchronous, and the layout changes there.
        """
        if self.device.type == "cuda":
            tensor = self.pin(tensor).to(self.device, non_blocking=True)
        layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        return tensor.to(self.device, memory_format=layout)
