"""Drawing with level sets: a shape is a field in pixels that is negative inside it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]
Point = tuple[float, float]
"""Row and column in pixels from the upper left corner."""
Window = tuple[slice, slice]


class Grid(NamedTuple):
    """The centres of a rectangle of pixels: ``y`` (H, 1) and ``x`` (1, W)."""

    y: Array
    x: Array

    @classmethod
    def of(cls, height: int, width: int) -> Grid:
        """Return the grid of a whole image."""
        return cls(
            np.arange(height, dtype=np.float32)[:, None] + 0.5,
            np.arange(width, dtype=np.float32)[None] + 0.5,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y.shape[0], self.x.shape[1]

    def axes(self, origin: Point, angle: float) -> tuple[Array, Array]:
        """Return pixels along and across an axis through ``origin``, each (H, W); angles turn clockwise."""
        dy, dx = self.y - origin[0], self.x - origin[1]
        cos, sin = math.cos(angle), math.sin(angle)
        return dx * cos + dy * sin, dy * cos - dx * sin

    def window(self, centre: Point, radius: float) -> tuple[Window, Grid]:
        """Return the part of the grid around a disc; drawing only there saves most of the time."""
        rows, columns = (
            slice(max(0, int(place - radius)), max(0, int(place + radius) + 2)) for place in centre
        )
        return (rows, columns), Grid(self.y[rows], self.x[:, columns])


def coverage(field: Array, softness: float = 1.0) -> Array:
    """Share of each pixel in [0, 1] that lies inside; ``softness`` is the width of the edge in pixels."""
    inside: Array = np.clip(0.5 - field / softness, 0, 1)
    return inside


def paint(canvas: Array, alpha: Array, colour: Array | tuple[float, float, float]) -> None:
    """Blend a colour (3,) or (H, W, 3) into ``canvas`` (H, W, 3) in place, with opacity ``alpha`` (H, W)."""
    canvas += alpha[..., None] * (np.asarray(colour, dtype=np.float32) - canvas)


def noise(rng: np.random.Generator, shape: tuple[int, int], cell: float, stretch: float = 1.0) -> Array:
    """Smooth noise (H, W) in about [-0.5, 0.5], with blobs ``cell`` wide and ``stretch`` times as high."""
    height, width = shape
    rows, columns = height / (cell * stretch), width / cell
    knots = rng.random((int(rows) + 3, int(columns) + 3), dtype=np.float32) - 0.5
    top, left = rng.random(2)
    picture = Image.fromarray(knots)
    box = (left, top, left + columns, top + rows)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box=box))


def random_colour(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Array:
    """A colour (3,) of any hue, with saturation and value from these ranges in [0, 1]."""
    hue, s, v = rng.uniform(0, 6), rng.uniform(*saturation), rng.uniform(*value)
    ramp = np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1
    colour: Array = (v * (1 - s + s * np.clip(ramp, 0, 1))).astype(np.float32)
    return colour
