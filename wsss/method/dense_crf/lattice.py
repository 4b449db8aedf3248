"""Where points lie in the permutohedral lattice (Adams, Baek & Davis 2010, sections 3 and 4).

The lattice of d dimensions lies in the plane of those d + 1 coordinates that sum to zero: it is the grid of
cubes of side d + 1, seen along their diagonal. Each cube falls into simplices by the order of the coordinates
inside it, so that sorting them finds the d + 1 vertices around a point and its weights on them.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod, sqrt
from operator import mul
from typing import NamedTuple, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR_DEVIATION = sqrt(2 / 3)
"""Standard deviation in cubes of what splat, blur and slice do together."""


class Embedding(NamedTuple):
    """The simplex around each of N points."""

    keys: Tensor
    """(N, d + 1) int64: a number for each vertex."""
    weights: Tensor
    """(N, d + 1) float32: barycentric coordinates of the point, which sum to one."""
    steps: Tensor
    """(d + 1,) int64: how much larger the key of the next vertex along each axis is; their sum is zero."""


class Lattice(Protocol):
    """Filter over N points: splat to the vertices, blur along each axis, slice at the points.

    It is the sum over all points, weighted by a Gaussian of their distance, up to a factor.
    """

    def scaled(self, factors: Tensor) -> Self:
        """Return the filter that multiplies values by factors (N,) both before and after itself."""
        ...

    def __call__(self, values: Tensor) -> Tensor:
        """Filter each map of values (C, N) float32."""
        ...


def embed(features: Tensor) -> Embedding:
    """Find the simplex around each point.

    Args:
        features: (N, d) float64, in standard deviations of the filter.

    Raises:
        ValueError: the points spread over more of the lattice than keys can number.

    """
    sides = features.shape[1] + 1
    position = features @ _elevation(sides).to(features.device).T
    corner = position.floor()
    fractions, order = (position - corner).float().sort(1, descending=True)
    first, last = fractions[:, :1], fractions[:, -1:]
    weights = torch.cat([1 - first + last, -fractions.diff(dim=1)], 1)
    # From the corner on, each next vertex is one cube further along the axis of the next largest fraction.
    steps = _steps(corner)
    corner_key = (corner.long() * steps).sum(1, keepdim=True)
    keys = torch.cat([corner_key, steps[order[:, :-1]]], 1).cumsum(1)
    return Embedding(keys, weights, steps)


def _elevation(sides: int) -> Tensor:
    """Build the map (d + 1, d) from features to the plane: orthogonal columns, in cubes."""
    column = torch.arange(1, sides, dtype=torch.float64)
    upper = torch.ones(sides, sides - 1, dtype=torch.float64).triu()
    below = F.pad(column.diag(), (0, 0, 1, 0))
    return (upper - below) * BLUR_DEVIATION / (column * (column + 1)).sqrt()


def _steps(corner: Tensor) -> Tensor:
    """Choose how much a key changes by a cube along each axis, so that no two vertices have one key.

    A vertex has as coordinates `sides` times its cube's, less the sum of these. Its key reads all but the
    last, which follows from them, as digits of a number. All digits of vertices and their neighbours spread
    over less than five cubes more than the corners do.
    """
    sides = corner.shape[1]
    least, most = corner.aminmax(dim=0)
    spans = (sides * (most - least + 5))[:-1].tolist()
    if not prod(spans) < 2**62:
        raise ValueError(
            "dense_crf: standard deviations are too small for the image, which spreads over "
            f"{spans} steps of the lattice"
        )
    *places, _ = accumulate(map(int, spans), mul, initial=1)
    digits = torch.tensor([*places, 0], device=corner.device)
    return sides * digits - digits.sum()
