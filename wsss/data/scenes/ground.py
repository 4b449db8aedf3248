"""The ground: two textured surfaces, and clutter that belongs to no class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wsss.data.scenes.drawing import Array, Grid, coverage, noise, paint, random_colour


def draw_ground(rng: np.random.Generator, grid: Grid) -> Array:
    """Draw two surfaces that meet at an uneven line, with clutter on them, (H, W, 3)."""
    canvas = _surface(rng, grid)
    middle = (grid.shape[0] * rng.uniform(0.1, 0.6), grid.shape[1] / 2)
    _, below = grid.axes(middle, rng.uniform(-0.3, 0.3))
    paint(canvas, coverage(-below + 8 * noise(rng, grid.shape, 20), 1.5), _surface(rng, grid))
    scatter(rng, canvas, grid, int(rng.integers(10, 25)), thickness=0.8)
    return canvas


def scatter(rng: np.random.Generator, canvas: Array, grid: Grid, count: int, thickness: float) -> Array:
    """Scatter leaves, up to ``thickness`` times as wide as long, and return their coverage, (H, W)."""
    grain = noise(rng, grid.shape, 1.8)
    covered = np.zeros(grid.shape, dtype=np.float32)
    for _ in range(count):
        centre = (rng.uniform(0, grid.shape[0]), rng.uniform(0, grid.shape[1]))
        length = rng.uniform(3, 13)
        width = length * rng.uniform(0.12, thickness)
        window, part = grid.window(centre, length + 2)
        along, across = part.axes(centre, rng.uniform(0, np.pi))
        field = _oval_or_rhomb(along / length, across / width, oval=rng.random() < 0.6) * width
        paint(canvas[window], 0.5 * coverage(field - 1, 3), (0.05, 0.05, 0.06))
        tint = (
            random_colour(rng, (0.05, 0.55), (0.2, 0.85)) + rng.uniform(0.1, 0.4) * grain[window][..., None]
        )
        alpha = coverage(field)
        paint(canvas[window], alpha, tint)
        np.maximum(covered[window], alpha, out=covered[window])
    return covered


def _oval_or_rhomb(along: Array, across: Array, *, oval: bool) -> Array:
    radius = np.hypot(along, across) if oval else np.abs(along) + np.abs(across)
    field: Array = radius - 1
    return field


def _surface(rng: np.random.Generator, grid: Grid) -> Array:
    relief = _RELIEFS[rng.integers(len(_RELIEFS))](rng, grid)
    base = random_colour(rng, (0.05, 0.4), (0.35, 0.75))
    patches = noise(rng, grid.shape, 28)[..., None] * random_colour(rng, (0.1, 0.5), (0.15, 0.3))
    colours: Array = base + patches + rng.uniform(0.09, 0.2) * relief[..., None]
    return colours


def _planks(rng: np.random.Generator, grid: Grid) -> Array:
    """Boards with a grain, and dark joints between them."""
    _, across = grid.axes((0, 0), rng.uniform(0, np.pi))
    width = rng.uniform(9, 20)
    across = across + 2 * noise(rng, grid.shape, 40)
    joints = coverage(np.abs(across % width - width / 2) - 0.8)
    grain = np.sin(across * rng.uniform(1.2, 2.2) + 3 * noise(rng, grid.shape, 12))
    tone = np.sin(np.floor(across / width) * 7)
    relief: Array = 0.25 * grain + 0.3 * tone - 0.9 * joints
    return relief


def _grass(rng: np.random.Generator, grid: Grid) -> Array:
    """Upright blades."""
    return 1.5 * noise(rng, grid.shape, 1.3, stretch=float(rng.choice([1.0, 4.0])))


def _gravel(rng: np.random.Generator, grid: Grid) -> Array:
    """Stones with dark gaps where the noise crosses zero."""
    gaps = np.exp(-9 * np.abs(noise(rng, grid.shape, rng.uniform(3.5, 7))))
    relief: Array = 0.9 - 1.5 * gaps + noise(rng, grid.shape, 1.5)
    return relief


def _tiles(rng: np.random.Generator, grid: Grid) -> Array:
    """Square tiles, each of its own tone, and dark joints between them."""
    along, across = grid.axes((0, 0), rng.uniform(0, np.pi / 2))
    side = rng.uniform(10, 22)
    inside = np.maximum(np.abs(along % side - side / 2), np.abs(across % side - side / 2)) - (side / 2 - 1)
    tone = np.sin(np.floor(along / side) * 12.9 + np.floor(across / side) * 78.2)
    relief: Array = 0.35 * tone + 0.7 * noise(rng, grid.shape, 2) - 0.8 * coverage(-inside)
    return relief


_RELIEFS: tuple[Callable[[np.random.Generator, Grid], Array], ...] = (_planks, _grass, _gravel, _tiles)
