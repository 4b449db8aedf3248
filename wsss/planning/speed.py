"""How fast this machine is, from a second or two of its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from wsss.models.backbones import build_backbone
from wsss.planning.work import Backbone, Work
from wsss.runtime import Compute
from wsss.runtime.devices import device, set_threads

SIDE = 224
"""Side in pixels of the image that is tried on each backbone."""

TRAINING = 4.0
"""A pixel through a network and back, in passes through it; 3.8 for MobileNetV2 on a CPU."""

CONVOLUTION = 0.009
"""Seconds that the convolution of `_processor` takes on a core of the machine of docs/studies.md."""

REFINED, WALKED, READ = 0.03, 3.5e-7, 0.01
"""Seconds on that core, see `Work`: of the dense CRF, of the walk, of an image that is read."""

JOB = 4.0
"""Seconds in which a job starts and imports torch."""


@dataclass(frozen=True)
class Speed:
    """What a machine needs: seconds per megapixel by backbone, and its processor's time in that of ours."""

    seen: Mapping[Backbone, float]
    processor: float

    def seconds(self, work: Work) -> float:
        """About how long work takes, if nothing else runs."""
        passes = work.seen + TRAINING * work.trained
        networks = self.seen[work.backbone] * passes if work.backbone else 0.0
        others = REFINED * work.refined + WALKED * work.walked + READ * work.read
        return JOB * work.jobs + networks + self.processor * others


def measure(networks: Iterable[Backbone], precision: str = "auto", threads: int = 1) -> Speed:
    """Try each backbone on one image, with fresh weights, and a convolution on the processor."""
    set_threads(threads)
    compute = Compute.of(device(), precision, threads)
    return Speed({network: _seen(network, compute) for network in networks}, _processor())


def _seen(backbone: Backbone, compute: Compute) -> float:
    network = compute.place(build_backbone(backbone.name, backbone.output_stride)).eval()
    image = torch.rand(1, 3, SIDE, SIDE, device=compute.device)

    @torch.inference_mode()
    def see() -> None:
        with compute.autocast():
            network(image)
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    return _fastest(see) / (SIDE * SIDE / 1e6)


def _processor() -> float:
    image, kernel = torch.rand(1, 64, 96, 96), torch.rand(64, 64, 3, 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _fastest(lambda: torch.nn.functional.conv2d(image, kernel, padding=1), 8) / CONVOLUTION
    finally:
        torch.set_num_threads(threads)


def _fastest(call: Callable[[], object], repeats: int = 2) -> float:
    """Seconds of the fastest of several calls, after a first one that warms up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
