"""The walk in plain PyTorch: for devices without a compiled engine, and what those are tested against."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Region = tuple["slice[int, int, None]", "slice[int, int, None]"]


def walk(affinities: Tensor, offsets: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Sum the changes Σ s_k (T_k(T) - T_(k-1)(T)) · scores, by which a walk moves the scores.

    By the recursion of Chebyshev polynomials, each change is the last one plus twice the pull (T - 1) · T_k
    of the neighbours on a cell. Differences keep float32 accurate where T is close to one and over long
    walks, for which the recursion on T_k itself errs a hundred times more.

    Args:
        affinities: (B, P, H, W) to the power β, zero where there is no pair.
        offsets: (P, 2) int64 on the CPU, (dy, dx) of each pair.
        scores: (B, C, H, W).
        weights: (N, K), s_1 to s_K for each number of steps, see `wsss.method.random_walk.chebyshev`.

    Returns:
        (N, B, C, H, W).

    """
    degrees = _degrees(affinities, offsets)
    current, change = scores.clone(), torch.zeros_like(scores)
    moved = scores.new_zeros(len(weights), *scores.shape)
    for order, weight in enumerate(weights[..., None, None, None, None].unbind(1)):
        change += (2 if order else 1) * _attraction(affinities, offsets, current) / degrees
        current += change
        moved += weight * change
    return moved


def _attraction(affinities: Tensor, offsets: Tensor, values: Tensor) -> Tensor:
    """Sum over a cell's neighbours of affinity times difference from its own value: (B, C, H, W)."""
    total = torch.zeros_like(values)
    for affinity, upper, lower in _pairs(affinities, offsets):
        flow = affinity * (values[..., *lower] - values[..., *upper])
        total[..., *upper] += flow
        total[..., *lower] -= flow
    return total


def _degrees(affinities: Tensor, offsets: Tensor) -> Tensor:
    """Diagonal of D: a cell's affinity to itself, 1, and to its neighbours, (B, 1, H, W)."""
    degrees = torch.ones_like(affinities[:, :1])
    for affinity, upper, lower in _pairs(affinities, offsets):
        degrees[..., *upper] += affinity
        degrees[..., *lower] += affinity
    return degrees


def _pairs(affinities: Tensor, offsets: Tensor) -> Iterator[tuple[Tensor, Region, Region]]:
    """Yield per offset its pairs' affinities (B, 1, h, w), region of upper and region of lower cells."""
    height, width = affinities.shape[-2:]
    for p, (dy, dx) in enumerate(offsets.tolist()):
        if dy < height and abs(dx) < width:
            upper = slice(0, height - dy), slice(max(0, -dx), width - max(0, dx))
            lower = slice(dy, height), slice(max(0, dx), width - max(0, -dx))
            yield affinities[:, p : p + 1, *upper], upper, lower
