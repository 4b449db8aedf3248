"""What a sweep tries: backgrounds by two rules, with and without normalisation, for each beta and t."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Literal, NamedTuple

from wsss.study.config import RandomWalk

NORMALIZE = (False, True)

KEYS = ("background", "alpha", "constant", "beta", "t", "normalize")
"""The keys of `random_walk` that a sweep tries; a point has alpha or constant."""


class Point(NamedTuple):
    """Values of the section `random_walk`; `value` is that of alpha or constant, as `background` says."""

    background: Literal["power", "constant"]
    value: float
    normalize: bool
    beta: float
    t: int

    @property
    def keys(self) -> dict[str, Any]:
        """The keys of `random_walk` that make this point."""
        name = {"power": "alpha", "constant": "constant"}[self.background]
        value = {name: self.value}
        walk = {"beta": self.beta, "t": self.t, "normalize": self.normalize}
        return {"background": self.background, **value, **walk}

    def walk(self, tolerance: float, normalize_by: Literal["class", "image"] = "class") -> RandomWalk:
        """The random walk of this point, without refinement."""
        return RandomWalk(tolerance=tolerance, normalize_by=normalize_by, **self.keys)


class Grid(NamedTuple):
    """All points of one beta: the product of t, normalisation and backgrounds."""

    alphas: tuple[float, ...]
    constants: tuple[float, ...]
    beta: float
    ts: tuple[int, ...]
    tolerance: float
    normalize_by: Literal["class", "image"] = "class"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Grid:
        """Make a grid of its fields as JSON holds them."""
        alphas, constants, ts = (tuple(values[name]) for name in ("alphas", "constants", "ts"))
        return cls(alphas, constants, values["beta"], ts, values["tolerance"], values["normalize_by"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, 2, B): t, without and with normalisation, alphas and then constants."""
        return len(self.ts), len(NORMALIZE), len(self.alphas) + len(self.constants)

    def points(self) -> Iterator[tuple[tuple[int, int, int], Point]]:
        """Yield each point with its place in arrays of `shape`."""
        backgrounds: list[tuple[Literal["power", "constant"], float]] = [
            *(("power", alpha) for alpha in self.alphas),
            *(("constant", constant) for constant in self.constants),
        ]
        axes = enumerate(self.ts), enumerate(NORMALIZE), enumerate(backgrounds)
        for (i, t), (j, normalize), (k, background) in product(*axes):
            yield (i, j, k), Point(*background, normalize, self.beta, t)
