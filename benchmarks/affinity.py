"""Affinities forward and backward: the stencil of `wsss.method.affinity` against the published gather form.

    python -m benchmarks.affinity [--batch 8 --channels 448 --side 56 --device cpu]

Both compute the same loss and gradient, each in a process of its own, so that memory peaks do not mix.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch
from torch import Tensor

from wsss.method.affinity import affinity_loss, affinity_stencil, half_plane_offsets, pair_targets

RADIUS = 5


def gather_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Published form: the features of both ends of every pair are gathered by index, then compared."""
    batch, depth, height, width = features.shape
    margin = RADIUS - 1
    inner = (..., slice(0, height - margin), slice(margin, width - margin))
    upper = torch.arange(height * width, device=features.device).view(height, width)[inner].flatten()
    shifts = half_plane_offsets(RADIUS) @ torch.tensor([width, 1])
    lower = (upper + shifts.to(upper.device)[:, None]).flatten()
    cells = features.flatten(2)
    upper_features = cells.index_select(2, upper).unsqueeze(2)
    lower_features = cells.index_select(2, lower).view(batch, depth, len(shifts), len(upper))
    affinity = torch.exp(-(lower_features - upper_features).abs().mean(1))
    background, foreground, different = pair_targets(labels, RADIUS, "cropped")
    kinds = (background[inner].flatten(2), foreground[inner].flatten(2), different[inner].flatten(2))
    return affinity_loss(affinity, kinds)[0]


def stencil_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Form of this package."""
    stencil = affinity_stencil(features, RADIUS, "cropped")
    return affinity_loss(stencil, pair_targets(labels, RADIUS, "cropped"))[0]


Form = Callable[[Tensor, Tensor], Tensor]
FORMS: dict[str, Form] = {"gather": gather_loss, "stencil": stencil_loss}


def measure(form: str, shape: tuple[int, int, int, int], device: str, repeats: int) -> dict[str, float]:
    """Return loss, gradient norm, the fastest passes in seconds, and the peak beyond the input in MB."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(shape, generator=generator).to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, 3, (shape[0], *shape[2:]), generator=generator, dtype=torch.uint8).to(device)
    features.requires_grad_()
    tiny = features.detach()[:1, :1].requires_grad_()
    FORMS[form](tiny, labels[:1]).backward()
    baseline = reset_peak(device)
    rows = [one_step(FORMS[form], features, labels) for _ in range(repeats)]
    loss, norm, forward, backward = (min(column) for column in zip(*rows, strict=True))
    peak = peak_memory_mb(device) - baseline
    return {"loss": loss, "norm": norm, "forward": forward, "backward": backward, "peak": peak}


def one_step(form: Form, features: Tensor, labels: Tensor) -> tuple[float, float, float, float]:
    """Return loss, gradient norm, and the seconds of a forward and a backward pass."""
    start = now(features)
    loss = form(features, labels)
    middle = now(features)
    (gradient,) = torch.autograd.grad(loss, features)
    return loss.item(), gradient.norm().item(), middle - start, now(features) - middle


def now(tensor: Tensor) -> float:
    """Read the clock once the tensor's device has finished."""
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def reset_peak(device: str) -> float:
    """Forget earlier peaks where that is possible, and return the memory in use in MB."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    return peak_memory_mb(device)


def peak_memory_mb(device: str) -> float:
    """Return the peak of this process: allocated on a GPU, resident on the CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--channels", type=int, default=448)
    parser.add_argument("--side", type=int, default=56, help="cells of the stride-8 grid per side")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    shape = (options.batch, options.channels, options.side, options.side)
    print(f"{'form':8} {'loss':>10} {'grad norm':>10} {'forward s':>10} {'backward s':>10} {'peak MB':>9}")
    results = {}
    for form in FORMS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            result = results[form] = pool.submit(
                measure, form, shape, options.device, options.repeats
            ).result()
        print(
            f"{form:8} {result['loss']:10.6f} {result['norm']:10.3e} {result['forward']:10.3f} "
            f"{result['backward']:10.3f} {result['peak']:9.0f}"
        )
    seconds = {form: result["forward"] + result["backward"] for form, result in results.items()}
    speed = seconds["gather"] / seconds["stencil"]
    memory = results["stencil"]["peak"] / results["gather"]["peak"]
    print(f"the stencil is {speed:.1f} x as fast and takes {memory:.3f} of the memory")


if __name__ == "__main__":
    main()
