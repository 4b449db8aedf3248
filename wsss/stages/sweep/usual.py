"""Usual values of the random walk, near which a sweep is trusted where there are no true masks.

docs/settings.md says on which photographs they were good, and how far a ranking without masks goes astray
elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from wsss.results import AffinityGrid
from wsss.stages.sweep.points import Row
from wsss.study.follow import CELL, CELLS, median_longest_side

COLUMN = {"alpha": "alpha", "score": "constant", "beta": "beta", "t": "t"}
"""Of a point, by the keys of `random_walk` that may say `auto`."""

USUAL = {"alpha": 2.0, "score": 0.45, "beta": 8.0}
"""Good on photographs of different sizes and objects, with scores that are normalised by class."""

STEPS, RADIUS = 128, 5
"""Steps of the walk, on `CELLS` cells along the longest side of an image, in pairs of this radius."""


def usual_steps(sizes: Iterable[tuple[int, int]], grid: AffinityGrid) -> float:
    """Return the usual t for images of these heights and widths, in pixels.

    A walk spreads over about radius · √t / 2 cells, which is to be the same share of images of all sizes.

    Raises:
        ValueError: there is no image.
    """
    cells = median_longest_side(sizes) * grid.input_scale / CELL
    return STEPS * (cells / CELLS * RADIUS / grid.radius) ** 2


def near_usual(points: Sequence[Row], keys: Collection[str], steps: float) -> list[Row]:
    """List the points that are at most one step of their grid away from the usual values.

    Args:
        points: of one kind of background, and one normalisation.
        keys: of `random_walk`, those that count.
        steps: usual t.
    """
    usual = {**USUAL, "t": steps}
    near = {}
    for key in keys:
        values = sorted({point[COLUMN[key]] for point in points})
        near[key] = around(values, min(values, key=lambda value: _distance(key, value, usual[key])))
    return [point for point in points if all(point[COLUMN[key]] in near[key] for key in keys)]


def around(values: Sequence[float], value: float) -> tuple[float, ...]:
    """Return a value and its neighbours among ascending values."""
    place = list(values).index(value)
    return tuple(values[max(place - 1, 0) : place + 2])


def _distance(key: str, value: float, other: float) -> float:
    return abs(value - other) if key == "score" else abs(math.log(value / other))
