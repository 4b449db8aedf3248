"""Propagate class scores by a random walk over semantic affinities (Ahn & Kwak 2018, section 3.3).

With A the affinities of neighbouring cells to the power β (elementwise) and ones on the diagonal, and D the
row sums of A, one step is T = D⁻¹A and the walk is T^t · scores. T is never squared and never dense: T^t
is a Chebyshev series in T of a degree near √(2t), each term one product with the stencil.
docs/random_walk.md proves its error bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from numbers import Real

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import threshold

from wsss.method.affinity import half_plane_offsets, valid_pairs
from wsss.method.random_walk.chebyshev import change_weights

__all__ = ["propagate"]

SMALLEST = 1e-25
"""Smaller powers of affinities count as zero: no score shows them, and they lead to slow denormal numbers."""

Walk = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""An engine, see `wsss.method.random_walk.torch_engine.walk`."""


@torch.no_grad()
def propagate(
    stencil: Tensor,
    scores: Tensor,
    *,
    beta: float,
    t: float | Sequence[float],
    tolerance: float = 1e-4,
) -> Tensor:
    """Walk scores over a grid: T^t · scores, each score map by itself.

    A cell without neighbours keeps its score and a constant map stays as it is, to the last digit; every
    result lies within the range of its map. Several t cost about as much as the largest of them. More score
    maps, such as the backgrounds of other alphas, share the preparation of the stencil. Not differentiable.

    Args:
        stencil: affinities (P, H, W) or (B, P, H, W) in [0, 1] of each cell to its P lower neighbours, in the
            order of `half_plane_offsets`, before the power β; any float type. Entries whose neighbour falls
            outside the grid are ignored.
        scores: (C, H, W), or (B, C, H, W) for a batch of stencils; any float type.
        beta: exponent of the affinities, above 0.
        t: number of steps, or several; whole numbers from 0 up. No other power of T is defined: T may have
            negative eigenvalues.
        tolerance: largest error of any cell against the exact T^t, as a share of its map's range (for scores
            in [0, 1] thus the error itself); in (0, 1). Rounding comes on top, see docs/random_walk.md.

    Returns:
        Scores of the shape of `scores`, with a leading axis over the values of `t` if that is a sequence;
        float32, or float64 if the scores are.

    Raises:
        ValueError: shapes that do not fit, affinities outside [0, 1], scores that are not finite, or an
            impossible beta, t or tolerance.

    Examples:
        Scores spread up to a border:

        >>> import torch, wsss
        >>> features = torch.zeros(1, 1, 1, 4)
        >>> features[..., 2:] = 5.0
        >>> stencil = wsss.affinity_stencil(features, radius=2)[0]
        >>> scores = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
        >>> wsss.propagate(stencil, scores, beta=8, t=64).round(decimals=2).tolist()
        [[[0.5, 0.5, 0.0, 0.0]]]
    """
    several = isinstance(t, Iterable)
    steps = _step_counts(t if isinstance(t, Iterable) else [t])
    _check_numbers(beta, tolerance)
    _check_tensors(stencil, scores)
    radius = _radius_of(stencil)
    dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
    stencil, scores = stencil.to(dtype), scores.to(dtype)
    _check_values(stencil, scores)
    batched = scores.ndim == 4
    if not batched:
        stencil, scores = stencil.unsqueeze(0), scores.unsqueeze(0)
    walked = _walk(stencil, radius, scores, beta, steps, tolerance)
    walked = walked if batched else walked.squeeze(1)
    return walked if several else walked.squeeze(0)


def _walk(
    stencil: Tensor, radius: int, scores: Tensor, beta: float, steps: list[int], tolerance: float
) -> Tensor:
    """Walk a batch (B, C, H, W): (len(steps), B, C, H, W).

    The walk sees each map around the middle of its range. T leaves the middle where it is; without it,
    cells that no score reaches would fill with denormal numbers. The exact walk never leaves the range of a
    map, so holding the result to it can only lower the error.
    """
    height, width = scores.shape[-2:]
    affinities, sums = _powers(stencil, beta, _valid_pairs(height, width, radius))
    volume = height * width + 2 * sums.amax().item()
    weights = change_weights(steps, volume, tolerance).to(scores.device, scores.dtype)
    low, high = scores.amin((-2, -1), keepdim=True), scores.amax((-2, -1), keepdim=True)
    walk = _engine(scores.device, scores.dtype)
    moved = walk(affinities, half_plane_offsets(radius), scores - (low + high) / 2, weights)
    return (scores + moved).clamp(low, high)


def _powers(stencil: Tensor, beta: float, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Affinities to the power β, (B, P, H, W), zero where there is no pair, and their sums per image, (B,).

    On a CPU NumPy computes them on one thread: PyTorch's other threads would wait for more work, spinning on
    the cores that the walk is about to need.
    """
    if stencil.device.type == "cpu":
        powers = np.power(stencil.numpy(), beta)
        powers *= valid.numpy() & (powers >= SMALLEST)
        return torch.from_numpy(powers), torch.from_numpy(powers.sum((1, 2, 3), dtype=np.float64))
    affinities = threshold(stencil.pow(beta).mul_(valid.to(stencil.device)), SMALLEST, 0.0, inplace=True)
    return affinities, affinities.sum((1, 2, 3), dtype=torch.float64)


@lru_cache(maxsize=4)
def _valid_pairs(height: int, width: int, radius: int) -> Tensor:
    """Keep those of the last sizes: photographs share a few, and a sweep walks over each again and again."""
    return valid_pairs(height, width, radius)


def _engine(device: torch.device, dtype: torch.dtype) -> Walk:
    """Choose the fastest walk for a device; its module, with its compiler, is imported only where used."""
    if device.type == "cpu":
        name = "numba_engine"
    elif device.type == "cuda" and dtype == torch.float32 and find_spec("triton"):
        name = "triton_engine"
    else:
        name = "torch_engine"
    walk: Walk = import_module(f"{__name__}.{name}").walk
    return walk


def _step_counts(values: Iterable[object]) -> list[int]:
    steps = []
    for value in values:
        if not isinstance(value, Real) or value < 0 or not float(value).is_integer():
            raise ValueError(f"propagate: t: a walk takes a whole number of steps from 0 up, got {value!r}")
        steps.append(int(float(value)))
    if not steps:
        raise ValueError("propagate: t: expected at least one number of steps, got none")
    return steps


def _check_numbers(beta: float, tolerance: float) -> None:
    if not 0 < beta < float("inf"):
        raise ValueError(f"propagate: beta: expected a number above 0, got {beta}")
    if not 0 < tolerance < 1:
        raise ValueError(f"propagate: tolerance: expected a number between 0 and 1, got {tolerance}")


def _check_tensors(stencil: Tensor, scores: Tensor) -> None:
    shapes = f"stencil {tuple(stencil.shape)} and scores {tuple(scores.shape)}"
    if stencil.ndim not in (3, 4) or scores.ndim != stencil.ndim:
        raise ValueError(f"propagate: expected (P, H, W) and (C, H, W), or both in batches, got {shapes}")
    if stencil.shape[-2:] != scores.shape[-2:] or stencil.shape[:-3] != scores.shape[:-3]:
        raise ValueError(f"propagate: grids or batches differ: {shapes}")
    if not (stencil.numel() and scores.shape[-2:].numel()):
        raise ValueError(f"propagate: no cells or no pairs: {shapes}")
    if not (stencil.is_floating_point() and scores.is_floating_point()):
        raise ValueError(f"propagate: expected floats, got stencil {stencil.dtype} and scores {scores.dtype}")
    if stencil.device != scores.device:
        raise ValueError(f"propagate: stencil is on {stencil.device}, scores on {scores.device}")


def _check_values(stencil: Tensor, scores: Tensor) -> None:
    on_cpu = stencil.device.type == "cpu"  # see `_powers`
    values = stencil.numpy() if on_cpu else stencil
    least, largest = values.min().item(), values.max().item()
    shapes = f"stencil {tuple(stencil.shape)} and scores {tuple(scores.shape)}"
    if not (least >= 0 and largest <= 1):
        raise ValueError(f"propagate: expected affinities in [0, 1], got {least} to {largest} in {shapes}")
    if not scores.isfinite().all():
        raise ValueError(f"propagate: scores are not all finite: {shapes}")


def _radius_of(stencil: Tensor) -> int:
    """Find the radius whose half disk has as many offsets as the stencil (..., P, H, W)."""
    pairs = stencil.shape[-3]
    for radius in count(2):
        offsets = len(half_plane_offsets(radius))
        if offsets >= pairs:
            break
    if offsets != pairs:
        raise ValueError(
            f"propagate: no radius has {pairs} offsets (radius 5 has 34): stencil {tuple(stencil.shape)}"
        )
    return radius
