"""A look at each photograph: its size, and a hash by which copies of it are found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data.decoding import FORMATS, orientation, swaps_sides
from wsss.runtime.console import progress

SIDE = 16
"""Rows and columns of brightness steps in a hash: 256 bits."""

NEAR = 24
"""Bits in which the hashes of two copies may differ. Of 5.6 million pairs of other photographs none has fewer
than 45."""

FLAT = 24
"""Fewer bits of one kind: a picture so even that its hash says nothing."""


class Photograph(NamedTuple):
    """Height and width in pixels, upright, and the hash (4,) uint64."""

    height: int
    width: int
    hash: NDArray[np.uint64]


class Sizes(NamedTuple):
    """Of many photographs: the median and the extremes of the longest side, in pixels, and the mean area."""

    median: int
    smallest: int
    largest: int
    megapixels: float

    def in_words(self) -> str:
        """The longest side of the photographs."""
        if self.smallest == self.largest:
            return f"longest side {self.median} px"
        return f"longest side {self.smallest} to {self.largest} px, median {self.median}"


def look_at(paths: Mapping[str, Path]) -> dict[str, Photograph]:
    """Look at photographs by id; those that cannot be read are left out."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        seen = progress(pool.map(_look, paths.values()), len(paths), label="looking at images")
        found = dict(zip(paths, seen, strict=True))
    return {image_id: photograph for image_id, photograph in found.items() if photograph is not None}


def sizes_of(photographs: Iterable[Photograph]) -> Sizes:
    """Sum up their sizes; there must be at least one."""
    sides, areas = zip(*((max(p.height, p.width), p.height * p.width) for p in photographs), strict=True)
    return Sizes(median_low(sides), min(sides), max(sides), sum(areas) / len(areas) / 1e6)


def near_duplicates(
    photographs: Mapping[str, Photograph], first: Sequence[str], second: Sequence[str]
) -> list[tuple[str, str]]:
    """Pairs of ids that look like one photograph: each of the first, and its nearest of the second."""
    ours, theirs = (
        [image_id for image_id in ids if image_id in photographs and not _is_flat(photographs[image_id].hash)]
        for ids in (first, second)
    )
    if not ours or not theirs:
        return []
    hashes = np.stack([photographs[image_id].hash for image_id in theirs])
    pairs = []
    for image_id in ours:
        distances = np.bitwise_count(hashes ^ photographs[image_id].hash).sum(1)
        nearest = int(distances.argmin())
        if distances[nearest] <= NEAR:
            pairs.append((image_id, theirs[nearest]))
    return pairs


def difference_hash(image: Image.Image) -> NDArray[np.uint64]:
    """Tell where brightness rises between 16 x 17 parts of an image, row by row: (4,) uint64, 256 bits."""
    grey = np.asarray(image.convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).view(np.uint64)


def _look(path: Path) -> Photograph | None:
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            sideways = swaps_sides(orientation(image))
            image.draft("L", (4 * SIDE, 4 * SIDE))  # JPEG decodes at a fraction of its size
            found = difference_hash(image)
    except Exception:  # whatever a damaged file makes Pillow raise; the data set's own check says it
        return None
    return Photograph(width, height, found) if sideways else Photograph(height, width, found)


def _is_flat(found: NDArray[np.uint64]) -> bool:
    bits = int(np.bitwise_count(found).sum())
    return min(bits, found.size * 64 - bits) < FLAT
