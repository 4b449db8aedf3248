"""What a sweep counts over all images: pixels that are right, confident or changed, and pairs that it parts.

Axes of the arrays are those of `Grid.shape`, (T, N, B), and then the C mask values. Sums over
images and shards are sums of arrays, so that jobs can be as small as one likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.method.labels import BACKGROUND, IGNORE
from wsss.stages.sweep.counting import Counts
from wsss.stages.sweep.pixels import Pixels
from wsss.stages.sweep.points import Grid

SPECK = 0.001
"""Share of an image: a class that wins less of it has vanished, but for a few specks."""

Integers = NDArray[np.int64]
Floats = NDArray[np.floating]


class Overlap(NamedTuple):
    """The masks of the sweep and a reference, over the pixels that the reference knows.

    Attributes:
        expected: (C,) pixels of each class in the reference.
        predicted: (T, N, B, C) pixels that each class wins.
        hits: (T, N, B, C) pixels that it wins in both.
    """

    expected: Integers
    predicted: Integers
    hits: Integers

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union (T, N, B, C), nan for a class that is in neither."""
        with np.errstate(invalid="ignore"):
            return self.hits / (self.expected + self.predicted - self.hits)


class Tally(NamedTuple):
    """Counts of a set of images at all points of one beta.

    Attributes:
        truth: against the true masks; without any, all its counts are 0.
        confident: against the confident regions.
        predicted: (T, N, B, C) pixels that each class wins.
        changed: (T, N, B) pixels that the CAMs with the same background give to another class.
        vanished: (T, N, B, C) images with a class among their labels that wins less than `SPECK` of them.
        parted: (T, N, B) of the pairs of distant pixels, those of different classes.
        parting: (T, N, B) sum over these of the differences of their colours.
        pairs: (3,) number of all pairs, and sum of the differences of their colours and of their squares.
        given_images: (C,) images with the class among their labels; all of them have background.
        given_pixels: (C,) pixels of these.
    """

    truth: Overlap
    confident: Overlap
    predicted: Integers
    changed: Integers
    vanished: Integers
    parted: Integers
    parting: Floats
    pairs: Floats
    given_images: Integers
    given_pixels: Integers

    def as_json(self) -> dict[str, Any]:
        """Turn into nested dictionaries of arrays."""
        return self._asdict() | {"truth": self.truth._asdict(), "confident": self.confident._asdict()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tally:
        """Read what `as_json` gave, after a way through a file."""
        truth, confident = (
            Overlap(*(np.array(content[name][part], np.int64) for part in Overlap._fields))
            for name in ("truth", "confident")
        )
        return cls(truth, confident, *(np.array(content[name]) for name in cls._fields[2:]))


def tally_image(counts: Counts, known: Pixels, class_values: NDArray[np.int64], n_values: int) -> Tally:
    """Sort one image's counts by mask value.

    Args:
        counts: of `sweep_image`.
        known: its pixels.
        class_values: (K,) mask values of its classes.
        n_values: C, the number of mask values, background included.
    """
    values = np.array([BACKGROUND, *class_values])
    won, colours = counts.pixels.sum(-1), known.differences.astype(np.float64)
    given = np.zeros(n_values, np.int64)
    given[values] = 1
    return Tally(
        truth=_overlap(counts, values, known.contexts[:, 0], n_values),
        confident=_overlap(counts, values, known.contexts[:, 1], n_values),
        predicted=_by_class(won, values, n_values),
        changed=counts.changed,
        vanished=_by_class((won < SPECK * len(known.kinds)).astype(np.int64), values, n_values),
        parted=counts.parted,
        parting=counts.parting,
        pairs=np.array([len(colours), colours.sum(), (colours**2).sum()]),
        given_images=given,
        given_pixels=given * won[0, 0, 0].sum(),
    )


def total(tallies: Iterable[Tally], grid: Grid, n_values: int) -> Tally:
    """Add up tallies of different images, possibly none, at the points of one beta."""
    return reduce(_add, tallies, _nothing(grid, n_values))


def _nothing(grid: Grid, n_values: int) -> Tally:
    points, classes = np.zeros(grid.shape, np.int64), np.zeros(n_values, np.int64)
    both = np.zeros((*grid.shape, n_values), np.int64)
    none = Overlap(classes, both, both)
    return Tally(none, none, both, points, both, points, 0.0 * points, np.zeros(3), classes, classes)


def _add(first: Any, second: Any) -> Any:
    if isinstance(first, tuple):
        return type(first)(*map(_add, first, second))
    return first + second


def _overlap(counts: Counts, values: Integers, reference: Integers, n_values: int) -> Overlap:
    """Compare with the reference values (X,) of the contexts."""
    known = reference != IGNORE
    pixels, reference = counts.pixels[..., known], reference[known]
    in_context = pixels[0, 0, 0].sum(0)
    return Overlap(
        expected=np.bincount(reference, in_context, n_values).astype(np.int64),
        predicted=_by_class(pixels.sum(-1), values, n_values),
        hits=_by_class((pixels * (values[:, None] == reference)).sum(-1), values, n_values),
    )


def _by_class(per_slot: Integers, values: Integers, n_values: int) -> Integers:
    """Spread counts (..., K + 1) of an image's background and classes over all mask values: (..., C)."""
    spread = np.zeros((*per_slot.shape[:-1], n_values), np.int64)
    spread[..., values] = per_slot
    return spread
