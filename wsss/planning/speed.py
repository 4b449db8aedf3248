"""How fast this machine is, from a second or two of its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from wsss.models.backbones import build_backbone
from wsss.planning.work import Backbone, Work
from wsss.runtime.compute import Compute
from wsss.runtime.devices import device
from wsss.runtime.this_process import set_threads

SIDE = 224
"""Side in pixels of the image that is tried on each backbone."""

TRAINING = 4.0
"""A pixel through a network and back, in passes through it; 3.8 for MobileNetV2 on a CPU."""

CONVOLUTION = 0.009
"""Seconds that the convolution of `_processor` takes on a core of the machine of docs/studies.md."""

REFINED, WALKED, READ = 0.03, 3.5e-7, 0.01
"""Seconds on that core, see `Work`: of the dense CRF, of the walk, of an image that is read."""

MORE_THREADS = 0.7
"""What each further thread of a job adds to the first."""

JOB_THREADS = 8
"""The most threads of a job, see `rules/`."""

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
    """Try each backbone on one image, with fresh weights, and a convolution on the processor.

    On a CPU the processor's own time counts, on one thread, so that other programs do not change it.

    Args:
        networks: those to be tried.
        precision: of the study.
        threads: those that a job of the study will have.
    """
    before = torch.get_num_threads()
    set_threads(1)
    try:
        compute = Compute(device(), precision)
        shared = 1.0 if compute.device.type == "cuda" else 1 + MORE_THREADS * (min(threads, JOB_THREADS) - 1)
        seen = {network: _seen(network, compute) / shared for network in networks}
        return Speed(seen, _processor())
    finally:
        set_threads(before)


def _seen(backbone: Backbone, compute: Compute) -> float:
    network = compute.place(build_backbone(backbone.name, backbone.output_stride)).eval()
    image = torch.rand(1, 3, SIDE, SIDE, device=compute.device)

    @torch.inference_mode()
    def see() -> None:
        with compute.autocast():
            network(image)
        if compute.device.type == "cuda":
            torch.cuda.synchronize()

    clock = time.perf_counter if compute.device.type == "cuda" else time.process_time
    return _fastest(see, clock) / (SIDE * SIDE / 1e6)


def _processor() -> float:
    image, kernel = torch.rand(1, 64, 96, 96), torch.rand(64, 64, 3, 3)
    convolve = partial(torch.nn.functional.conv2d, image, kernel, padding=1)
    return _fastest(convolve, time.process_time, 8) / CONVOLUTION


def _fastest(call: Callable[[], object], clock: Callable[[], float], repeats: int = 3) -> float:
    """Seconds of the fastest of several calls, after a first one that warms up."""
    call()
    times = []
    for _ in range(repeats):
        start = clock()
        call()
        times.append(clock() - start)
    return min(times)
