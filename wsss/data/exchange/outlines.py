"""Masks as outlines: simple polygons without holes, as annotation tools edit them, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Geometry, Point, Polygon

from wsss.method.labels import BACKGROUND, BACKGROUND_NAME, IGNORE

Mask = NDArray[np.uint8]
Ring = list[tuple[float, float]]

TOLERANCE = 1.0
"""Square root, in pixels, of the largest area that moves to another region where a corner is left out."""

UNKNOWN = "unknown"
"""Name of the value 255."""

_NAMES_OF_OTHERS = {"_background_": BACKGROUND, "__ignore__": IGNORE}
"""What labelme calls them."""


class Outline(NamedTuple):
    """A polygon of one mask value; those of one `group` are parts of one connected region."""

    value: int
    group: int
    points: Ring


def names_by_value(class_names: Sequence[str]) -> dict[int, str]:
    """Name the mask values that have outlines: the classes, and 255."""
    return {**dict(enumerate(class_names, start=1)), IGNORE: UNKNOWN}


def value_of(name: str, class_names: Sequence[str]) -> int:
    """Return the mask value of a name that an annotation tool gives back.

    Raises:
        ValueError: no class has this name.
    """
    known = {name: value for value, name in names_by_value(class_names).items()}
    values = {BACKGROUND_NAME: BACKGROUND, **_NAMES_OF_OTHERS, **known}
    if name not in values:
        raise ValueError(f"unknown class {name!r}, expected {', '.join([*class_names, UNKNOWN])}")
    return values[name]


def other_size(found: tuple[int, int], expected: tuple[int, int]) -> str:
    """Say that a mask (H, W) does not fit its image."""
    return f"{found[1]} x {found[0]} pixels, but its image has {expected[1]} x {expected[0]}"


def outlines(mask: Mask, tolerance: float = TOLERANCE) -> list[Outline]:
    """Draw around all regions of a mask but the background.

    Regions that touch share their border, before and after corners are left out, so no gap opens between
    them. A region with holes is cut into parts that have none.

    Args:
        mask: (H, W) uint8.
        tolerance: how far corners are left out, see `TOLERANCE`; 0 keeps the outline of each pixel.
    """
    values = np.unique(mask).tolist()
    regions = np.array([_region(mask == value) for value in values], dtype=object)
    if tolerance:
        regions = shapely.coverage_simplify(regions, tolerance)
    found: list[Outline] = []
    for value, region in zip(values, regions, strict=True):
        if value != BACKGROUND:
            for connected in _polygons(region):
                group = found[-1].group + 1 if found else 1
                found += [Outline(value, group, _ring(part)) for part in _without_holes(connected)]
    return found


def draw(shapes: Iterable[tuple[int, Geometry]], size: tuple[int, int]) -> Mask:
    """Fill shapes, each over those before it: pixels belong to a shape that their middle lies in, or on.

    Args:
        shapes: mask value and geometry.
        size: (H, W).
    """
    mask = np.full(size, BACKGROUND, np.uint8)
    for value, shape in shapes:
        left, top, right, bottom = shape.bounds
        if not shape.is_empty:
            rows = slice(max(0, int(top) - 1), max(0, int(bottom) + 1))
            columns = slice(max(0, int(left) - 1), max(0, int(right) + 1))
            y, x = np.mgrid[: size[0], : size[1]][:, rows, columns] + 0.5
            shapely.prepare(shape)
            mask[rows, columns][shapely.intersects_xy(shape, x, y)] = value
    return mask


def polygon(points: Sequence[Sequence[float]]) -> Geometry:
    """Make a polygon of its corners (x, y); one whose sides cross encloses what an even-odd fill does.

    Raises:
        ValueError: fewer than three corners, or no finite numbers.
    """
    corners = np.asarray(points, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise ValueError(f"a polygon of {len(points)} points, expected three or more finite pairs x, y")
    return shapely.make_valid(Polygon(corners))


def rectangle(points: Sequence[Sequence[float]]) -> Geometry:
    """Make a rectangle of two opposite corners (x, y)."""
    (x0, y0), (x1, y1) = _two(points, "a rectangle")
    return shapely.box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def circle(points: Sequence[Sequence[float]]) -> Geometry:
    """Make a circle of its centre and a point on it (x, y)."""
    centre, rim = _two(points, "a circle")
    return Point(centre).buffer(float(np.hypot(rim[0] - centre[0], rim[1] - centre[1])), quad_segs=64)


def _two(points: Sequence[Sequence[float]], what: str) -> NDArray[np.float64]:
    pair = np.asarray(points, dtype=np.float64)
    if pair.shape != (2, 2) or not np.isfinite(pair).all():
        raise ValueError(f"{what} of {len(points)} points, expected two finite pairs x, y")
    return pair


def _region(inside: NDArray[np.bool_]) -> Geometry:
    """The union of the pixels of a region (H, W), as squares."""
    steps = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return shapely.union_all(shapely.box(starts, rows, ends, rows + 1))


def _polygons(geometry: Geometry) -> list[Polygon]:
    return [part for part in shapely.get_parts(geometry).tolist() if isinstance(part, Polygon)]


def _without_holes(region: Polygon) -> Iterator[Polygon]:
    """Cut a polygon from top to bottom through its middle hole, until no part has one."""
    holes = sorted(region.interiors, key=lambda hole: hole.bounds[0])
    if not holes:
        yield region
        return
    left, top, right, bottom = region.bounds
    hole_left, _, hole_right, _ = holes[len(holes) // 2].bounds
    cut = (hole_left + hole_right) / 2
    for start, end in ((left, cut), (cut, right)):
        half = region.intersection(shapely.box(start, top, end, bottom))
        for part in _polygons(half):
            yield from _without_holes(part)


def _ring(part: Polygon) -> Ring:
    """The corners of a polygon (x, y), the last of which is not the first again."""
    return [(float(x), float(y)) for x, y in part.exterior.coords[:-1]]


def pixels(inside: NDArray[np.bool_], left: int, top: int) -> Geometry:
    """Make the shape of the pixels that are set in a box (h, w) whose corner is at (left, top)."""
    return shapely.transform(_region(inside), lambda corners: corners + np.array([left, top]))
