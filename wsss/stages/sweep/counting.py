"""The counting kernel of the sweep: which score map wins each pixel, over every background at once.

A background changes nothing of the classes' scores, so the strongest class is found once per pixel, and each
background is then one comparison. Compiled by Numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wsss.stages.sweep.pixels import Pixels

Floats = NDArray[np.float32]
Slots = NDArray[np.uint8]
"""Which score map wins: 0 the background, 1 … K the classes."""


class Counts(NamedTuple):
    """Counts of one image, with leading axes over the points.

    Attributes:
        pixels: (..., K + 1, X) by winner, 0 the background and 1 … K the image's classes, and by context.
        changed: (...) pixels whose winner is not that of the CAMs over the same background.
        parted: (...) of the image's pairs of pixels, those with different winners.
        parting: (...) sum over these of the differences of their colours.
    """

    pixels: NDArray[np.int64]
    changed: NDArray[np.int64]
    parted: NDArray[np.int64]
    parting: NDArray[np.float64]


def winning_slots(scores: Floats, backgrounds: Floats) -> Slots:
    """Find the winner of each pixel over each background: (B, N), for scores (K, N) and (B, N).

    Like the argmax over the background and the classes, the first of equals wins.
    """
    slots = np.empty(backgrounds.shape, np.uint8)
    _fill_winners(scores, backgrounds, slots)
    return slots


def count_winners(scores: Floats, backgrounds: Floats, before: Slots, known: Pixels) -> Counts:
    """Count over each of B backgrounds the pixels by their winner.

    Args:
        scores: (K, N), of the classes at N pixels; K may be 0.
        backgrounds: their scores (B, N).
        before: (B, N) winners to compare with.
        known: the pixels.
    """
    n_backgrounds = len(backgrounds)
    pixels = np.zeros((n_backgrounds, len(scores) + 1, len(known.contexts)), np.int64)
    changed, parted = np.zeros((2, n_backgrounds), np.int64)
    parting = np.zeros(n_backgrounds)
    _count(scores, backgrounds, before, known.kinds, pixels, changed)
    _count_pairs(scores, backgrounds, known.pairs, known.differences, parted, parting)
    return Counts(pixels, changed, parted, parting)


@njit(cache=True, nogil=True)
def _strongest(scores, i):  # type: ignore[no-untyped-def]
    slot, best = 0, np.float32(-np.inf)
    for k in range(len(scores)):
        if scores[k, i] > best:
            slot, best = k + 1, scores[k, i]
    return slot, best


@njit(cache=True, nogil=True)
def _fill_winners(scores, backgrounds, slots):  # type: ignore[no-untyped-def]
    for i in range(backgrounds.shape[1]):
        slot, best = _strongest(scores, i)
        for b in range(len(backgrounds)):
            slots[b, i] = slot if best > backgrounds[b, i] else 0


@njit(cache=True, nogil=True)
def _count(scores, backgrounds, before, kinds, pixels, changed):  # type: ignore[no-untyped-def]
    for i in range(len(kinds)):
        slot, best = _strongest(scores, i)
        for b in range(len(backgrounds)):
            winner = slot if best > backgrounds[b, i] else 0
            pixels[b, winner, kinds[i]] += 1
            changed[b] += winner != before[b, i]


@njit(cache=True, nogil=True)
def _count_pairs(scores, backgrounds, pairs, differences, parted, parting):  # type: ignore[no-untyped-def]
    for place in range(len(pairs)):
        i, j = pairs[place]
        slot, best = _strongest(scores, i)
        other, highest = _strongest(scores, j)
        for b in range(len(backgrounds)):
            winner = slot if best > backgrounds[b, i] else 0
            opposite = other if highest > backgrounds[b, j] else 0
            if winner != opposite:
                parted[b] += 1
                parting[b] += differences[place]
