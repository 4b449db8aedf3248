"""A whole scene as a camera would see it, and its mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from wsss.data.scenes.animals import Animal, draw_animal
from wsss.data.scenes.drawing import Array, Grid, noise
from wsss.data.scenes.ground import draw_ground, scatter
from wsss.data.scenes.heads import CLASSES
from wsss.method.labels import BACKGROUND, IGNORE, class_values

SHAPES = ((3, 4), (4, 3), (1, 1))
"""Ratios of height to width: only a few, because images of equal size can be batched."""


def draw_scene(rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a photograph (H, W, 3) and its mask (H, W), both uint8; the longest side has ``size`` pixels.

    Mask values: 0 ground and clutter, 1 … 5 the classes in the order of `CLASSES`, 255 one-pixel borders.
    """
    tall, wide = SHAPES[rng.integers(len(SHAPES))]
    grid = Grid.of(size * tall // max(tall, wide), size * wide // max(tall, wide))
    canvas = draw_ground(rng, grid)
    light = (rng.uniform(-0.9, -0.2), rng.uniform(-0.7, 0.7))
    animals = _place_animals(rng, grid.shape)
    owner = np.zeros(grid.shape, dtype=np.uint8)
    for number, animal in enumerate(animals, start=1):
        owner[draw_animal(rng, canvas, grid, animal, light) > 0.5] = number
    blades = scatter(rng, canvas, grid, int(rng.integers(0, 4)), thickness=0.2)  # too thin to hide a head
    owner[blades > 0.5] = 0
    values = np.array([BACKGROUND, *class_values([animal.kind for animal in animals])], dtype=np.uint8)
    mask = np.where(_borders(owner), np.uint8(IGNORE), values[owner])
    return _expose(rng, canvas, grid), mask


def _place_animals(rng: np.random.Generator, shape: tuple[int, int]) -> list[Animal]:
    """Choose one to three animals of different classes that overlap at most a little, the farthest first."""
    kinds = rng.permutation(len(CLASSES))[: rng.choice([1, 2, 3], p=[0.25, 0.45, 0.3])]
    animals: list[Animal] = []
    for kind in kinds:
        for _ in range(20):
            animal = _random_animal(rng, int(kind), shape)
            if all(_apart(animal, other) for other in animals):
                animals.append(animal)
                break
    return sorted(animals, key=lambda animal: animal.centre[0])


def _random_animal(rng: np.random.Generator, kind: int, shape: tuple[int, int]) -> Animal:
    length = max(shape) * rng.uniform(0.34, 0.58)
    row, column = (rng.uniform(0.4 * length, side - 0.4 * length) for side in shape)
    return Animal(kind, (row, column), length, rng.uniform(-np.pi, np.pi))


def _apart(one: Animal, other: Animal) -> bool:
    distance = np.hypot(one.centre[0] - other.centre[0], one.centre[1] - other.centre[1])
    return bool(distance > 0.42 * (one.length + other.length))


def _borders(owner: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour belongs to another object."""
    edge = np.zeros(owner.shape, dtype=bool)
    edge[:-1] |= owner[:-1] != owner[1:]
    edge[:, :-1] |= owner[:, :-1] != owner[:, 1:]
    return edge


def _expose(rng: np.random.Generator, canvas: Array, grid: Grid) -> NDArray[np.uint8]:
    """Uneven light, white balance, blur and noise."""
    height, width = grid.shape
    slope = rng.normal(0, 0.18, 2).astype(np.float32)
    light = 1 + slope[0] * (grid.y / height - 0.5) + slope[1] * (grid.x / width - 0.5)
    light = (light + 0.25 * noise(rng, grid.shape, 50)) * rng.uniform(0.85, 1.15)
    canvas = canvas * light[..., None] * rng.normal(1, 0.04, 3).astype(np.float32)
    sharp = Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))
    blurred = sharp.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.7)))
    grain = rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(2.5, 7.5)
    photograph: NDArray[np.uint8] = np.clip(np.asarray(blurred) + grain, 0, 255).astype(np.uint8)
    return photograph
