"""The random walk against dense squaring, in one run on the same inputs: time, error, memory, scaling.

    python -m benchmarks.random_walk [--operators] [--device cuda --network resnet38]

Dense squaring is what published implementations do: D⁻¹W^β as an n × n matrix, squared log2(t) times. Times
are the best of several runs on as many threads as PyTorch uses. With --network, the walk's share of an
AffinityNet forward pass over a 376 × 504 photograph; with --operators, other ways on the CPU to apply T in
the same series (needs SciPy).
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsss.method.affinity import affinity_stencil, half_plane_offsets, valid_pairs
from wsss.method.cam import background_score
from wsss.method.random_walk import numba_engine, propagate, torch_engine
from wsss.method.random_walk.chebyshev import change_weights
from wsss.models.affinitynet import build_affinitynet
from wsss.study.config import AffinityNet, OnImages

BETA, T = 8, 256
STRIDE_8, STRIDE_4, IMAGE_2048 = (47, 63), (94, 125), (256, 128)
"""Grids of a 376 × 504 photograph at strides 8 and 4, and of a 2048 × 1024 image at stride 8."""


def scene(height: int, width: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Affinity stencil (34, H, W) of smooth features; scores (3, H, W) of the background and two classes."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 16, height // 6 + 2, width // 6 + 2, generator=generator)
    features = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    cams = torch.rand(1, 2, height // 8 + 2, width // 8 + 2, generator=generator) ** 2
    cams = torch.nn.functional.interpolate(cams, (height, width), mode="bilinear")[0]
    scores = torch.cat([background_score(cams, alpha=16)[None], cams])
    return affinity_stencil(features)[0].to(device), scores.to(device)


def dense_walk(stencil: Tensor, scores: Tensor) -> Tensor:
    """Walk as published: squares of the dense transition matrix."""
    height, width = stencil.shape[1:]
    cells = torch.arange(height * width, device=stencil.device).view(height, width)
    affinity = torch.eye(height * width, device=stencil.device, dtype=scores.dtype)
    for p, (dy, dx) in enumerate(half_plane_offsets(5).tolist()):
        upper = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
        lower = slice(dy, height), slice(max(0, dx), width - max(0, -dx))
        affinity[cells[upper], cells[lower]] = stencil[p][upper].to(scores.dtype) ** BETA
        affinity[cells[lower], cells[upper]] = affinity[cells[upper], cells[lower]]
    transition = affinity / affinity.sum(1, keepdim=True)
    for _ in range(T.bit_length() - 1):
        transition = transition @ transition
    return (transition @ scores.flatten(1).T).T.view_as(scores)


def seconds(work: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Best time of several runs, after one to warm up if there is more than one."""
    times = []
    for _ in range(repeats + (repeats > 1)):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[-repeats:])


def walk_seconds(
    height: int, width: int, device: str = "cpu", t: int | list[int] = T, repeats: int = 30
) -> float:
    """Time one call of propagate."""
    stencil, scores = scene(height, width, device)
    return seconds(lambda: propagate(stencil, scores, beta=BETA, t=t), repeats, device)


def against_dense(device: str) -> None:
    """Print speed and error against dense squaring, and the speed at stride 4 by extrapolation of n³."""
    stencil, scores = scene(*STRIDE_8, device)
    dense = seconds(lambda: dense_walk(stencil, scores), 2, device)
    walk = walk_seconds(*STRIDE_8, device)
    print(
        f"47 × 63, t = {T}: dense {dense:.2f} s, walk {walk * 1e3:.2f} ms: {dense / walk:,.0f} times faster"
    )
    exact = dense_walk(stencil, scores.double())
    walked = propagate(stencil, scores, beta=BETA, t=T)
    error, others = (walked - exact).abs().max(), (walked.argmax(0) != exact.argmax(0)).sum()
    print(f"error against a dense float64 walk {error:.1e}, cells with another argmax {others}")
    fine = walk_seconds(*STRIDE_4, device)
    larger = dense * (STRIDE_4[0] * STRIDE_4[1] / (STRIDE_8[0] * STRIDE_8[1])) ** 3
    speed = f"{larger / fine:,.0f} times faster"
    print(f"94 × 125: dense {larger:.0f} s by extrapolation of n³, walk {fine * 1e3:.1f} ms: {speed}")


def several_t(device: str) -> None:
    """Print what five more values of t cost."""
    steps = [8, 16, 32, 64, 128, T]
    one, six = walk_seconds(*STRIDE_8, device), walk_seconds(*STRIDE_8, device, t=steps)
    print(f"t of {steps}: {six * 1e3:.2f} ms, {six / one:.2f} times one t = {T}")


def scaling(device: str) -> None:
    """Print the time per cell over grids."""
    for height, width in ((24, 32), STRIDE_8, STRIDE_4, IMAGE_2048, (256, 256)):
        walk = walk_seconds(height, width, device, repeats=10)
        print(f"{height} × {width}: {walk * 1e3:.2f} ms, {walk / (height * width) * 1e6:.2f} µs per cell")


def operators() -> None:
    """Print the time of the same series with other ways to apply T, on the CPU."""
    for height, width in (STRIDE_8, STRIDE_4):
        stencil, scores = scene(height, width)
        offsets = half_plane_offsets(5)
        affinities = stencil**BETA * valid_pairs(height, width)
        weights = change_weights([T], height * width * 69, 1e-4).float()
        image = affinities[None], offsets, scores[None], weights
        step, columns = transition_matrix(affinities, offsets), scores.flatten(1).numpy().T.copy()
        in_torch = torch.sparse_csr_tensor(step.indptr, step.indices, step.data, step.shape)
        times = {
            "Numba, diagonals": seconds(partial(numba_engine.walk, *image), 5),
            "PyTorch CSR (MKL)": seconds(
                partial(sum_changes, in_torch, torch.from_numpy(columns), weights), 5
            ),
            "SciPy CSR": seconds(partial(sum_changes, step, columns, weights), 5),
            "PyTorch slices": seconds(partial(torch_engine.walk, *image), 5),
        }
        for name, time_taken in times.items():
            print(f"{height} × {width}, {weights.shape[1]} products, {name}: {time_taken * 1e3:.1f} ms")


def transition_matrix(affinities: Tensor, offsets: Tensor) -> Any:
    """T as a sparse SciPy matrix."""
    from scipy import sparse

    _, height, width = affinities.shape
    pair, y, x = affinities.numpy().nonzero()
    dy, dx = offsets.numpy()[pair].T
    ends = y * width + x, (y + dy) * width + x + dx
    half = sparse.coo_matrix((affinities.numpy()[pair, y, x], ends), shape=(height * width,) * 2)
    affinity = sparse.eye(height * width, dtype=np.float32) + half + half.T
    return (sparse.diags(1 / np.asarray(affinity.sum(1)).ravel()) @ affinity).astype(np.float32).tocsr()


def sum_changes(transition: Any, columns: Any, weights: Tensor) -> Any:
    """Sum the series for columns (n, C) by matrix products, in PyTorch or NumPy."""
    current, change, moved = columns, columns * 0, columns * 0
    for order, weight in enumerate(weights[0].tolist()):
        change = change + (2 if order else 1) * (transition @ current - current)
        current = current + change
        moved = moved + weight * change
    return moved


def memory() -> None:
    """Print by how much one walk raises the peak of a fresh process."""
    subprocess.run([sys.executable, "-m", "benchmarks.random_walk", "--peak"], check=True)


def peak() -> None:
    """Print the rise of this process's peak over its present memory (Linux with glibc)."""
    walk_seconds(8, 8, repeats=1)
    stencil, scores = scene(*STRIDE_8)
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # no freed memory to reuse
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status_mb("VmRSS")
    propagate(stencil, scores, beta=BETA, t=T)
    print(f"47 × 63: the walk adds {status_mb('VmHWM') - before:.1f} MB to the process")


def status_mb(key: str) -> float:
    """Read a size from Linux's account of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def share_of(network: str, device: str) -> None:
    """Print the walk's share of an AffinityNet forward pass over the same photograph."""
    model = (
        build_affinitynet(
            AffinityNet(
                backbone=network, weights="none", train_on=OnImages(frozen_stages=0, batch_norm="trained")
            )
        )
        .eval()
        .to(device)
    )
    image = torch.randn(1, 3, 8 * STRIDE_8[0], 8 * STRIDE_8[1], device=device)
    with torch.inference_mode():
        forward = seconds(lambda: model(image), 5, device)
    share = walk_seconds(*STRIDE_8, device) / forward
    print(f"{network}: a forward pass takes {forward * 1e3:.1f} ms, the walk {share:.1%} of that")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--network", help="backbone of an AffinityNet to compare the walk with")
    parser.add_argument("--operators", action="store_true", help="compare sparse operators on the CPU")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        return peak()
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.device}")
    against_dense(arguments.device)
    several_t(arguments.device)
    scaling(arguments.device)
    if arguments.device == "cpu":
        memory()
    if arguments.operators:
        operators()
    if arguments.network:
        share_of(arguments.network, arguments.device)


if __name__ == "__main__":
    main()
