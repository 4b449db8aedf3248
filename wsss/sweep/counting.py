"""The counting kernel of the sweep: which class wins each pixel, over every background at once.

A background changes nothing of the classes' scores, so the strongest class is found once per pixel, and each
background is then one comparison. Compiled by Numba.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Slots = NDArray[np.uint8]
"""Which score map wins: 0 the background, 1 … K the classes."""


def winning_slots(classes: Floats, backgrounds: Floats) -> Slots:
    """Find the winner of each pixel over each background: (B, N), for scores (K, N) and (B, N).

    Like the argmax over the background and the classes, the first of equals wins.
    """
    slots = np.empty(backgrounds.shape, np.uint8)
    _fill_winners(classes, backgrounds, slots)
    return slots


def count_winners(
    classes: Floats, backgrounds: Floats, before: Slots, contexts: NDArray[np.uint16], n_contexts: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels by their winner and their context, over each background.

    Args:
        classes: scores (K, N) of N pixels; K may be 0.
        backgrounds: scores (B, N).
        before: (B, N) winners to compare with.
        contexts: (N,) below `n_contexts`, what is known of each pixel.
        n_contexts: X.

    Returns:
        Pixels by winner and context (B, K + 1, X), and pixels whose winner differs from `before` (B,).
    """
    counts = np.zeros((len(backgrounds), len(classes) + 1, n_contexts), np.int64)
    changed = np.zeros(len(backgrounds), np.int64)
    _count(classes, backgrounds, before, contexts, counts, changed)
    return counts, changed


@njit(cache=True, nogil=True)
def _strongest(classes, i):  # type: ignore[no-untyped-def]
    slot, best = 0, np.float32(-np.inf)
    for k in range(len(classes)):
        if classes[k, i] > best:
            slot, best = k + 1, classes[k, i]
    return slot, best


@njit(cache=True, nogil=True)
def _fill_winners(classes, backgrounds, slots):  # type: ignore[no-untyped-def]
    for i in range(backgrounds.shape[1]):
        slot, best = _strongest(classes, i)
        for b in range(len(backgrounds)):
            slots[b, i] = slot if best > backgrounds[b, i] else 0


@njit(cache=True, nogil=True)
def _count(classes, backgrounds, before, contexts, counts, changed):  # type: ignore[no-untyped-def]
    for i in range(backgrounds.shape[1]):
        slot, best = _strongest(classes, i)
        for b in range(len(backgrounds)):
            winner = slot if best > backgrounds[b, i] else 0
            counts[b, winner, contexts[i]] += 1
            changed[b] += winner != before[b, i]
