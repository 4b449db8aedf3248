"""Plush animals: bodies drawn in the same way for all classes, each with the head of its class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wsss.data.scenes.drawing import Array, Grid, Point, coverage, noise, paint, random_colour
from wsss.data.scenes.heads import CLASSES, HEADS

SHADOW = (0.03, 0.03, 0.05)
KNIT = 2.1
"""Radians per pixel of the knitting pattern: a stitch is three pixels wide."""


@dataclass(frozen=True)
class Animal:
    """Class and pose of an animal.

    Attributes:
        kind: Position of its class in :data:`CLASSES`.
        centre: Row and column of the body's centre in pixels.
        length: Length of the body in pixels.
        angle: Direction from the centre to the head, clockwise from the right, in radians.
    """

    kind: int
    centre: Point
    length: float
    angle: float


def draw_animal(rng: np.random.Generator, canvas: Array, grid: Grid, animal: Animal, light: Point) -> Array:
    """Paint an animal with its shadow on ``canvas`` (H, W, 3); return its coverage, (H, W) in [0, 1]."""
    window, part = grid.window(animal.centre, 0.9 * animal.length)
    view = canvas[window]
    body, plush = _draw_body(rng, part, animal, light)
    head, face = _draw_head(rng, part, animal, light)
    fall = (round(2 - 2 * light[0]), round(-3 * light[1]))
    shadow = np.roll(coverage(np.minimum(body, head), softness=7), fall, (0, 1))
    paint(view, 0.6 * shadow, SHADOW)
    paint(view, coverage(body), plush)
    paint(view, 0.5 * coverage(head - 1.5, softness=3) * coverage(body), 0.4 * plush)
    paint(view, coverage(head), face)
    covered = np.zeros(grid.shape, dtype=np.float32)
    covered[window] = coverage(np.minimum(body, head))
    return covered


def _draw_body(rng: np.random.Generator, grid: Grid, animal: Animal, light: Point) -> tuple[Array, Array]:
    """Field (H, W) and colours (H, W, 3) of body and paws."""
    along, across = grid.axes(animal.centre, animal.angle)
    half = animal.length / 2
    girth = half * rng.uniform(0.65, 0.9)
    radius = _lumpy_radius(rng, along / half, across / girth)
    field = np.minimum((radius - 1) * girth, _paws(rng, along, across, half, girth))
    stitches = np.sin(along * KNIT) * np.sin(across * KNIT)
    fur = 1 + 0.05 * stitches + 0.1 * noise(rng, grid.shape, 2) + 0.12 * noise(rng, grid.shape, 14)
    return field, _stuffed(_plush_colour(rng) * fur[..., None], radius, light, relief=2)


def _lumpy_radius(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Distance (H, W) from the centre, scaled to 1 on a round but uneven outline."""
    turn, radius = np.arctan2(y, x), np.hypot(x, y)
    for lumps in (2, 3, 4):
        radius /= 1 + rng.uniform(0, 0.06) * np.cos(lumps * turn + rng.uniform(0, 2 * np.pi))
    return radius


def _paws(rng: np.random.Generator, along: Array, across: Array, half: float, girth: float) -> Array:
    """Field (H, W) of two paws on either side of the body."""
    places = [(end, side) for end in (-0.55, 0.45) for side in (-1, 1)]
    paws = []
    for end, side in places:
        x, y = half * (end + rng.uniform(-0.12, 0.12)), side * girth * rng.uniform(0.75, 1)
        paws.append(np.hypot(along - x, across - y) - half * rng.uniform(0.2, 0.28))
    field: Array = np.minimum.reduce(paws)
    return field


def _plush_colour(rng: np.random.Generator) -> Array:
    """A saturated colour in most cases, otherwise nearly grey; from the same range for all classes."""
    if rng.random() < 0.15:
        return random_colour(rng, (0.0, 0.2), (0.3, 0.95))
    return random_colour(rng, (0.35, 0.85), (0.5, 0.95))


def _draw_head(rng: np.random.Generator, grid: Grid, animal: Animal, light: Point) -> tuple[Array, Array]:
    """Field (H, W) and colours (H, W, 3) of the head of the animal's class."""
    radius = animal.length * rng.uniform(0.15, 0.185)
    reach = animal.length * rng.uniform(0.05, 0.25)
    row, column = animal.centre
    centre = (row + reach * math.sin(animal.angle), column + reach * math.cos(animal.angle))
    u, v = (axis / radius for axis in grid.axes(centre, rng.uniform(-0.4, 0.4)))
    head = HEADS[CLASSES[animal.kind]](u, v)
    face = np.empty((*grid.shape, 3), dtype=np.float32)
    face[:] = head.plain + rng.normal(0, 0.035, 3)
    for field, tint in head.layers:
        paint(face, coverage(field * radius), tint)
    return head.outline * radius, _stuffed(face, np.hypot(u, v), light, relief=1)


def _stuffed(colours: Array, radius: Array, light: Point, relief: float) -> Array:
    """Shade colours (H, W, 3) like a cushion: highest at ``radius`` (H, W) 0, lit from ``light`` (dy, dx)."""
    height = np.sqrt(np.clip(1 - radius * radius, 0.02, 1))
    dy, dx = np.gradient(height)
    lit = 0.72 + 0.33 * height - relief * (dy * light[0] + dx * light[1])
    shaded: Array = colours * np.clip(lit, 0.3, 1.25)[..., None]
    return shaded
