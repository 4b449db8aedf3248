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
        border: (...) pairs of neighbours with different winners.
        contrast: (...) sum over these of the image's contrast there.
    """

    pixels: NDArray[np.int64]
    changed: NDArray[np.int64]
    border: NDArray[np.int64]
    contrast: NDArray[np.float64]


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
    changed, border = np.zeros((2, n_backgrounds), np.int64)
    contrast = np.zeros(n_backgrounds)
    above = np.zeros((known.width, n_backgrounds), np.uint8)
    inputs = scores, backgrounds, before, known.kinds, known.contrast
    _count(*inputs, above, pixels, changed, border, contrast)
    return Counts(pixels, changed, border, contrast)


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
def _count(scores, backgrounds, before, kinds, contrasts, above, pixels, changed, border, contrast):  # type: ignore[no-untyped-def]
    """Go through the pixels row by row; `above` (W, B) holds the last winner of each column."""
    width = len(above)
    for i in range(len(kinds)):
        slot, best = _strongest(scores, i)
        x, kind = i % width, kinds[i]
        for b in range(len(backgrounds)):
            winner = slot if best > backgrounds[b, i] else 0
            pixels[b, winner, kind] += 1
            changed[b] += winner != before[b, i]
            if x > 0 and above[x - 1, b] != winner:
                border[b] += 1
                contrast[b] += contrasts[0, i - 1]
            if i >= width and above[x, b] != winner:
                border[b] += 1
                contrast[b] += contrasts[1, i - width]
            above[x, b] = winner
