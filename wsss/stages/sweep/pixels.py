"""What is known of an image's pixels before any walk: truth, confident labels, and pairs of colours."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.labels import IGNORE

REACH = 0.12
"""Distance of the pixels of a pair, as a share of the image's longest side: that of parts of objects."""

OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Directions of the pairs: right, down and both diagonals."""

LATTICE = 64
"""Pixels along the longest side that begin a pair of each direction."""

GREY_LEVELS = 60.0
"""Distance of colours at which their difference has come 63 % of its way from 0 to 1."""


class Pixels(NamedTuple):
    """The N = H · W pixels of an image, row by row.

    Attributes:
        kinds: (N,) row of `contexts`.
        contexts: (X, 2) the pairs of true value and confident label that occur.
        pairs: (M, 2) pixels that are `REACH` apart, a sample from all over the image.
        differences: (M,) of their colours, in [0, 1).
    """

    kinds: NDArray[np.uint16]
    contexts: NDArray[np.int64]
    pairs: NDArray[np.int64]
    differences: NDArray[np.float32]


def swept_rows(manifest: Manifest, shard: Manifest, limit: int | None = None) -> list[ImageRow]:
    """List the images of a shard that the study scores, or all of them where it has no true mask at all.

    Args:
        manifest: the whole data set, with its masks.
        shard: some of the images of train.
        limit: the most images; a hash of their ids decides which, so that a new image replaces one at most.
    """
    scored = {row.id: row for row in manifest.split("train") if row.mask and row.scored}
    rows = [scored[row.id] for row in shard if row.id in scored] if scored else list(shard)
    if limit is None or limit >= len(rows):
        return rows
    kept = {row.id for row in sorted(rows, key=_place)[:limit]}
    return [row for row in rows if row.id in kept]


def _place(row: ImageRow) -> bytes:
    """Place of an image in an order that is random, but the same everywhere."""
    return blake2b(row.id.encode(), digest_size=8, person=b"sweep").digest()


def read_pixels(row: ImageRow, confident: NDArray[np.uint8]) -> Pixels:
    """Read an image and its true mask; without one all of it is unknown. Confident labels are (H, W)."""
    truth = read_mask(row.mask) if row.mask else np.full_like(confident, IGNORE)
    return describe_pixels(row.photograph(), truth, confident)


def describe_pixels(
    image: NDArray[np.uint8], truth: NDArray[np.uint8], confident: NDArray[np.uint8]
) -> Pixels:
    """Describe the pixels of an image (H, W, 3) with true values and confident labels (H, W)."""
    both = truth.ravel().astype(np.uint16) << 8 | confident.ravel()
    present = np.flatnonzero(np.bincount(both))
    numbers = np.zeros(2**16, np.uint16)
    numbers[present] = np.arange(len(present))
    contexts = np.stack([present >> 8, present & 255], 1)
    pairs = distant_pairs(*truth.shape)
    return Pixels(numbers[both], contexts, pairs, _differences(image, pairs))


def distant_pairs(height: int, width: int) -> NDArray[np.int64]:
    """List pairs of pixels that are `REACH` of the longest side apart: (M, 2), each y * width + x."""
    longest = max(height, width)
    reach, step = max(1, round(REACH * longest)), max(1, longest // LATTICE)
    y, x = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    found = []
    for down, right in OFFSETS:
        to_y, to_x = y + reach * down, x + reach * right
        inside = (to_y < height) & (to_x >= 0) & (to_x < width)
        found.append(np.stack([(y * width + x)[inside], (to_y * width + to_x)[inside]], 1))
    return np.concatenate(found)


def _differences(image: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compare the colours of pairs (M, 2): 0 for equal ones, towards 1 for all that differ clearly."""
    first, second = image.reshape(-1, 3).astype(np.float32)[pairs.T]
    distance = np.sqrt(((first - second) ** 2).sum(-1))
    differences: NDArray[np.float32] = (1 - np.exp(-distance / GREY_LEVELS)).astype(np.float32)
    return differences
