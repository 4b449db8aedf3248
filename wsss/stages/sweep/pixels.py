"""What is known of an image's pixels before any walk: truth, confident labels and contrast."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest, read_image, read_mask
from wsss.method.labels import IGNORE

REACH = 4
"""Pixels on both sides of a border whose colours are compared: bilinear scores draw no sharper borders."""


class Pixels(NamedTuple):
    """The N = H · W pixels of an image, row by row.

    Attributes:
        kinds: (N,) row of `contexts`.
        contexts: (X, 2) the pairs of true value and confident label that occur.
        contrast: (2, N) difference of colours across the border to the right and to the lower neighbour, as a
            share of the image's mean; the last column and row have none.
        width: W.
    """

    kinds: NDArray[np.uint16]
    contexts: NDArray[np.int64]
    contrast: NDArray[np.float32]
    width: int


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
    return describe_pixels(read_image(row.image), truth, confident)


def describe_pixels(
    image: NDArray[np.uint8], truth: NDArray[np.uint8], confident: NDArray[np.uint8]
) -> Pixels:
    """Describe the pixels of an image (H, W, 3) with true values and confident labels (H, W)."""
    pairs = truth.ravel().astype(np.uint16) << 8 | confident.ravel()
    present = np.flatnonzero(np.bincount(pairs))
    numbers = np.zeros(2**16, np.uint16)
    numbers[present] = np.arange(len(present))
    contexts = np.stack([present >> 8, present & 255], 1)
    return Pixels(numbers[pairs], contexts, _contrast(image), image.shape[1])


def _contrast(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compare the colours across each border to the right and below: (2, H · W), their mean is 1."""
    colours = image.astype(np.float32)
    across = np.stack([_differences(colours, axis) for axis in (1, 0)])
    contrast: NDArray[np.float32] = (across / max(across.mean(), 1e-6)).reshape(2, -1)
    return contrast


def _differences(colours: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Subtract the colours `REACH` pixels before and after the border behind each pixel: (H, W)."""
    places, last = np.arange(colours.shape[axis]), colours.shape[axis] - 1
    before = colours.take((places - REACH + 1).clip(0), axis)
    after = colours.take((places + REACH).clip(max=last), axis)
    differences: NDArray[np.float32] = np.abs(after - before).mean(-1)
    return differences
