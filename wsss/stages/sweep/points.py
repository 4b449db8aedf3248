"""What a sweep tries: backgrounds of both kinds, two normalisations, for each beta and t."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from wsss.study.config import ConstantBackground, PowerBackground, RandomWalk
from wsss.study.options import CellPadding, NormalizedOn, ScoreNormalization
from wsss.study.params import SweepRandomWalk

KEYS = ("background", "alpha", "constant", "beta", "t", "normalize")
"""Columns of a point: the kind of its background, its alpha or constant score, and what follows."""


Row = dict[str, Any]
"""A point and its metrics."""


class Point(NamedTuple):
    """Values of the section `random_walk`."""

    background: PowerBackground | ConstantBackground
    normalize: ScoreNormalization
    beta: float
    t: int

    @property
    def section(self) -> dict[str, Any]:
        """The keys of `random_walk` that make this point, as YAML holds them."""
        background = self.background.model_dump(mode="json")
        return {"background": background, "beta": self.beta, "t": self.t, "normalize": self.normalize}

    @property
    def columns(self) -> dict[str, Any]:
        """The values of `KEYS`; None is the one of alpha and constant that the background does not have."""
        values = (
            self.background.kind,
            self.background.alpha if self.background.kind == "power" else None,
            self.background.score if self.background.kind == "constant" else None,
            self.beta,
            self.t,
            self.normalize,
        )
        return dict(zip(KEYS, values, strict=True))

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> Point:
        """Read what `columns` gave."""
        background: PowerBackground | ConstantBackground
        if columns["background"] == "power":
            background = PowerBackground(alpha=columns["alpha"])
        else:
            background = ConstantBackground(kind="constant", score=columns["constant"])
        return cls(background, columns["normalize"], columns["beta"], columns["t"])

    def walk(self, like: RandomWalk) -> RandomWalk:
        """The random walk of this point, without refinement; what no point says is that of another walk."""
        own = {"background": self.background, "beta": self.beta, "t": self.t, "normalize": self.normalize}
        return like.model_copy(update={**own, "refine": "none"})


class Grid(NamedTuple):
    """All points of one beta: the product of t, normalisations and backgrounds.

    Attributes:
        alphas: of the power backgrounds.
        constants: scores of the constant backgrounds.
        beta: exponent of the affinities.
        ts: steps of the walk.
        tolerance: largest error of the walked scores.
        normalize: what is done after the walk, see the section `random_walk`.
        padding: of the scores to whole cells.
        normalize_on: where the maxima are taken.
    """

    alphas: tuple[float, ...]
    constants: tuple[float, ...]
    beta: float
    ts: tuple[int, ...]
    tolerance: float
    normalize: tuple[ScoreNormalization, ...] = ("none", "class")
    padding: CellPadding = "none"
    normalize_on: NormalizedOn = "cells"

    @classmethod
    def of(cls, params: SweepRandomWalk, beta: float) -> Grid:
        """The points of one beta that a study's sweep tries."""
        return cls(beta=beta, **{name: getattr(params, name) for name in cls._fields if name != "beta"})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Grid:
        """Read what `_asdict` gave, after a way through a file."""
        values: dict[str, Any] = {
            name: tuple(content[name]) if isinstance(content[name], list) else content[name]
            for name in cls._fields
        }
        return cls(**values)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, N, B): t, normalisations, alphas and then constants."""
        return len(self.ts), len(self.normalize), len(self.alphas) + len(self.constants)

    def points(self) -> Iterator[tuple[tuple[int, int, int], Point]]:
        """Yield each point with its place in arrays of `shape`."""
        backgrounds: list[PowerBackground | ConstantBackground] = [
            *(PowerBackground(alpha=alpha) for alpha in self.alphas),
            *(ConstantBackground(kind="constant", score=constant) for constant in self.constants),
        ]
        axes = enumerate(self.ts), enumerate(self.normalize), enumerate(backgrounds)
        for (i, t), (j, normalize), (k, background) in product(*axes):
            yield (i, j, k), Point(background, normalize, self.beta, t)


def best_first(points: Iterable[Row], criterion: str) -> list[Row]:
    """Order points by a metric, the largest first, those without it last."""

    def value(point: Row) -> float:
        found = point[criterion]
        return -math.inf if found is None or math.isnan(found) else found

    return sorted(points, key=value, reverse=True)
