"""COCO's instances as one semantic mask.

COCO's own code fills the polygons, so that masks have the same pixels as everybody else's. Run lengths are
decoded here: damaged ones are errors, while pycocotools writes past the end of its memory for some.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsss.data.coco_annotations import Instance
from wsss.method.labels import class_values

Pixels = NDArray[np.bool_]

MOST_BITS = 40
"""Of a packed run length: more than any image has pixels, and without an end each digit would take longer."""

LONGEST_OUTLINE = 10_000_000
"""Pixels along a polygon: COCO's code takes some hundred bytes for each."""

FEWEST_NUMBERS = 6
"""Length of a polygon of three points; shorter ones cover no pixel."""


def semantic_mask(instances: Iterable[Instance], height: int, width: int) -> NDArray[np.uint8]:
    """Paint instances over each other: (height, width) uint8, mask values.

    Crowds lie below everything. Of two objects the one with fewer pixels lies on top, as a cup does on its
    table; of two equally large ones the later in the file.

    Raises:
        ValueError: A segmentation is malformed or does not fit the image; the message says which one.
    """
    painted = [(instance, _pixels_of(instance, height, width)) for instance in instances]
    painted.sort(key=lambda pair: (not pair[0].is_crowd, -int(pair[1].sum())))
    mask = np.zeros((height, width), np.uint8)
    for instance, pixels in painted:
        mask[pixels] = class_values([instance.label])[0]
    return mask


def _pixels_of(instance: Instance, height: int, width: int) -> Pixels:
    try:
        if isinstance(instance.segmentation, dict):
            return run_length_pixels(instance.segmentation, height, width)
        return polygon_pixels(instance.segmentation, height, width)
    except ValueError as error:
        raise ValueError(f"{instance.place}: segmentation {error}") from None


def polygon_pixels(polygons: Any, height: int, width: int) -> Pixels:
    """Fill the polygons `[[x, y, x, y, …], …]` of one object, coordinates in pixels: (height, width) bool.

    Raises:
        ValueError: They are not polygons, or lie far outside the image.
    """
    from pycocotools.mask import frPyObjects, merge

    if not isinstance(polygons, list):
        raise ValueError(f"is {polygons!r:.60}, expected polygons or run lengths")
    points = [_checked(polygon, height, width) for polygon in polygons]
    if (length := sum(map(_length, points))) > LONGEST_OUTLINE:
        raise ValueError(f"has outlines of {length:,.0f} pixels, expected at most {LONGEST_OUTLINE:,}")
    filled = [polygon for polygon in points if len(polygon) >= FEWEST_NUMBERS]
    if not filled:
        return np.zeros((height, width), bool)
    runs = merge(frPyObjects(filled, height, width))["counts"].decode()
    return run_length_pixels({"size": [height, width], "counts": runs}, height, width)


def _checked(polygon: Any, height: int, width: int) -> list[float]:
    """Return a polygon whose points lie in the image, or outside it by at most the image's size."""
    if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(_is_number, polygon)):
        raise ValueError(f"has the polygon {polygon!r:.60}, expected [x, y, x, y, …]")
    for values, size in ((polygon[::2], width), (polygon[1::2], height)):
        if not all(-size <= value <= 2 * size for value in values):
            raise ValueError(f"has a point far outside the image of {width} x {height} pixels")
    return polygon


def _length(polygon: Sequence[float]) -> float:
    """Return the length of a closed polygon in pixels, as diagonals count like steps to the side."""
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    steps = np.abs(corners - np.roll(corners, 1, axis=0))
    return float(steps.max(axis=1, initial=0).sum())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def run_length_pixels(segmentation: dict[str, Any], height: int, width: int) -> Pixels:
    """Decode run lengths of pixels outside and inside in turn, column by column: (height, width) bool.

    Args:
        segmentation: `size` [height, width], and `counts`, either numbers or COCO's packed text.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Raises:
        ValueError: They are malformed, or do not cover the image exactly.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(f"has the size {size!r:.40}, but its image has [{height}, {width}]")
    runs = unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise ValueError(f"has the counts {counts!r:.60}, expected lengths of runs")
    if sum(runs) != height * width:
        raise ValueError(f"covers {sum(runs)} pixels, but its image has {height * width}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Unpack run lengths from COCO's text.

    A character holds five bits, lowest first, and a flag that more follow; the highest bit of the last one is
    the sign. From the fourth on, a length is stored as the difference to the second last before it.
    """
    numbers: list[int] = []
    value = place = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"has the character {character!r} in its counts")
        if place > MOST_BITS:
            raise ValueError(f"has a run of more than {MOST_BITS} bits in its counts")
        value |= (bits & 31) << place
        place += 5
        if not bits & 32:
            numbers.append(value - (1 << place) if bits & 16 else value)
            value = place = 0
    if place:
        raise ValueError("has counts that are cut short")
    return _summed(numbers)


def _summed(numbers: Sequence[int]) -> list[int]:
    lengths: list[int] = []
    for index, number in enumerate(numbers):
        lengths.append(number + lengths[index - 2] if index > 2 else number)
    return lengths
