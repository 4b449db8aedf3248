"""Which points a walk that says `auto` can choose, within the grid of a sweep and beyond its edges."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from wsss.stages.sweep.points import Grid, Point, Row, best_first
from wsss.stages.sweep.usual import COLUMN, around
from wsss.study.config import RandomWalk
from wsss.study.config.fields import AUTO

BOUNDS = {"alpha": (0.25, 64.0), "score": (0.05, 0.95), "beta": (1.0, 64.0), "t": (1, 2048)}
"""Values beyond which no grid widens."""

WIDENINGS = 3
"""The most times that a grid is widened: at a ratio of 2, that makes it 8 times as wide."""

logger = logging.getLogger(__name__)

Sweep = Callable[[Grid], Sequence[Row]]
"""Function from a grid to its points with their metrics."""


def candidates(points: Iterable[Row], walk: RandomWalk) -> list[Row]:
    """List the points that have all values that the walk writes, in their order.

    Raises:
        ValueError: there is none.
    """
    written = _written(walk)
    found = [point for point in points if all(point[column] == value for column, value in written.items())]
    if not found:
        raise ValueError(f"sweep: no point has the written values of random_walk, {written}")
    return found


def _written(walk: RandomWalk) -> dict[str, Any]:
    values = {**dict(walk.background), "beta": walk.beta, "t": walk.t}
    fixed = {COLUMN[key]: value for key, value in values.items() if key in COLUMN and value != AUTO}
    return {"background": walk.background.kind, "normalize": walk.normalize, **fixed}


def widened(
    points: Sequence[Row], walk: RandomWalk, criterion: str, sweep: Sweep
) -> tuple[list[Row], dict[str, list[float]]]:
    """Widen the grid wherever its best point is at an edge of a value that is chosen.

    Args:
        points: the candidates.
        walk: says which values are chosen, and has all others.
        criterion: metric by which points are ranked; larger is better.
        sweep: computes further points.

    Returns:
        All candidates, best first, and the values by key that have been added.
    """
    found = {_place(point): point for point in points}
    added: dict[str, list[float]] = {}
    for _ in range(WIDENINGS):
        axes = {
            key: sorted({point[COLUMN[key]] for point in found.values()})
            for key in COLUMN
            if key in walk.chosen_keys
        }
        best = best_first(found.values(), criterion)[0]
        further = {
            key: value for key in axes if (value := _beyond(key, axes[key], best[COLUMN[key]])) is not None
        }
        if not further:
            break
        values = " and ".join(f"{key} {value:g}" for key, value in further.items())
        logger.info("the best point is at the edge of the grid: %s too", values)
        for grid in _grids(best, axes, further, walk):
            found |= {_place(point): point for point in sweep(grid)}
        for key, value in further.items():
            added.setdefault(key, []).append(value)
    return best_first(found.values(), criterion), added


def _place(point: Mapping[str, Any]) -> Point:
    return Point.of(point)


def _beyond(key: str, values: Sequence[float], best: float) -> float | None:
    """Find the value beyond the edge at which the best one is, as far away as the last but one; or None."""
    if best not in (values[0], values[-1]):
        return None
    last, before = (values[-1], values[-2:][0]) if best == values[-1] else (values[0], values[:2][-1])
    if key == "score":
        further = last + (last - before or 0.05)
    else:
        further = last * (last / before if last != before else 2.0)
    lowest, highest = BOUNDS[key]
    rounded = round(further) if key == "t" else float(f"{further:.3g}")
    return None if rounded in values or not lowest <= rounded <= highest else rounded


def _grids(
    best: Row, axes: Mapping[str, Sequence[float]], further: Mapping[str, float], walk: RandomWalk
) -> Iterator[Grid]:
    """Yield the grids of the best point, its neighbours in the grid, and the further values, one per beta."""
    near = {key: {*around(values, best[COLUMN[key]])} for key, values in axes.items()}
    for key, value in further.items():
        near[key].add(value)
    ascending = {key: tuple(sorted(values)) for key, values in near.items()}
    alphas, constants = (
        ascending.get(key, () if best[COLUMN[key]] is None else (best[COLUMN[key]],))
        for key in ("alpha", "score")
    )
    ts = tuple(int(t) for t in ascending.get("t", (best["t"],)))
    grid = Grid(
        alphas=alphas,
        constants=constants,
        beta=best["beta"],
        ts=ts,
        tolerance=walk.tolerance,
        normalize=(best["normalize"],),
        padding=walk.padding,
        normalize_on=walk.normalize_on,
    )
    for beta in ascending.get("beta", (best["beta"],)):
        yield grid._replace(beta=beta)
