"""Which cells of the stride-8 grid are neighbours, as numbers only: nothing here loads PyTorch."""

from __future__ import annotations

from typing import Literal

Border = Literal["full", "cropped"]
"""Which pairs count: every pair inside the grid, or those of the published code (see `valid_pairs`)."""

STRIDE = 8
"""Pixels of AffinityNet's input per cell and side."""


def upper_to_lower(radius: int) -> list[tuple[int, int]]:
    """List the (dy, dx) from an upper to a lower cell less than `radius` apart, row by row.

    Every unordered pair of cells appears once: dy > 0, or dy = 0 and dx > 0. There are 34 for a radius of 5.

    Raises:
        ValueError: radius is below 2, which leaves no pair.

    """
    if radius < 2:
        raise ValueError(f"radius: at least 2 cells have neighbours, got {radius}")
    reach = range(1 - radius, radius)
    return [
        (dy, dx) for dy in range(radius) for dx in reach if (dy > 0 or dx > 0) and dy**2 + dx**2 < radius**2
    ]
