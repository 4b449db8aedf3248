"""Heads, the small part of an animal that identifies its class.

Each is a function of the coordinates ``u`` (to the right) and ``v`` (downwards), in which a head has a radius
of about 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from wsss.data.scenes.drawing import Array

Tint = tuple[float, float, float]


class Head(NamedTuple):
    """Field of the outline, colour of its inside, and layers of (field, colour) painted over it in order."""

    outline: Array
    plain: Tint
    layers: Sequence[tuple[Array, Tint]]


def bee(u: Array, v: Array) -> Head:
    """Yellow with black stripes."""
    stripes = np.abs((v + 0.2) % 0.62 - 0.31) - 0.14
    return Head(_disc(u, v), (0.97, 0.78, 0.1), [(stripes, (0.07, 0.06, 0.05))])


def frog(u: Array, v: Array) -> Head:
    """Green with bulging eyes and a wide mouth."""
    eyelids, whites, pupils = (_pair(u, v, 0.55, -0.7, radius) for radius in (0.46, 0.33, 0.17))
    mouth = np.maximum(np.abs(np.hypot(u, v + 0.35) - 0.85) - 0.09, 0.05 - v)
    black = (0.05, 0.08, 0.04)
    outline = np.minimum(np.hypot(u / 1.1, v - 0.1) - 0.9, eyelids)
    return Head(outline, (0.3, 0.68, 0.2), [(whites, (0.95, 0.95, 0.85)), (pupils, black), (mouth, black)])


def ladybird(u: Array, v: Array) -> Head:
    """Red with black spots and a line between the wings."""
    spots = np.minimum(_pair(u, v, 0.45, -0.35, 0.24), _pair(u, v, 0.5, 0.4, 0.24))
    line = np.abs(u) - 0.08
    return Head(_disc(u, v), (0.85, 0.1, 0.07), [(np.minimum(spots, line), (0.05, 0.04, 0.05))])


def owl(u: Array, v: Array) -> Head:
    """Violet with large yellow rings around the eyes, and a beak."""
    rings, pupils = (_pair(u, v, 0.45, -0.15, radius) for radius in (0.44, 0.2))
    beak = np.maximum(np.abs(u) * 1.6 + v - 0.75, 0.15 - v)
    layers = [(rings, (0.98, 0.9, 0.45)), (pupils, (0.06, 0.04, 0.08)), (beak, (0.98, 0.5, 0.1))]
    return Head(_disc(u, v), (0.33, 0.2, 0.6), layers)


def panda(u: Array, v: Array) -> Head:
    """White with black ears, eye patches and nose."""
    face = np.hypot(u, v) - 0.95
    ears = np.maximum(_pair(u, v, 0.75, -0.75, 0.38), -face)
    nose = np.hypot(u / 1.4, v - 0.42) - 0.16
    dark = np.minimum.reduce([ears, _pair(u, v, 0.4, -0.1, 0.27), nose])
    return Head(
        np.minimum(face, _pair(u, v, 0.75, -0.75, 0.38)), (0.93, 0.92, 0.9), [(dark, (0.06, 0.06, 0.07))]
    )


def _disc(u: Array, v: Array) -> Array:
    radius: Array = np.hypot(u, v)
    return radius - 1


def _pair(u: Array, v: Array, x: float, y: float, radius: float) -> Array:
    """Two discs side by side, about (-x, y) and (x, y)."""
    distance: Array = np.hypot(np.abs(u) - x, v - y)
    return distance - radius


HEADS: dict[str, Callable[[Array, Array], Head]] = {
    "bee": bee,
    "frog": frog,
    "ladybird": ladybird,
    "owl": owl,
    "panda": panda,
}
CLASSES = tuple(HEADS)
