"""What masks tell without a true mask: which values they hold, and how ragged they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.data import ImageRow
from wsss.method.labels import BACKGROUND, IGNORE, class_values
from wsss.runtime.console import progress

ALMOST_ALL = 0.99
"""Share of an image's pixels that counts as all of them: a walk leaves single pixels at corners."""

VALUES = 256


class Counted(NamedTuple):
    """An image and the values of its mask.

    Attributes:
        labels: mask values of the image's labels.
        pixels: (256,) int64, the number of pixels of each mask value.
        outline: number of pairs of neighbouring pixels (4 per pixel) with different values.
    """

    labels: tuple[int, ...]
    pixels: NDArray[np.int64]
    outline: int

    @classmethod
    def of(cls, row: ImageRow, mask: NDArray[np.uint8]) -> Counted:
        """Count a mask (H, W) of mask values, 255 where undecided."""
        outline = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
        pixels = np.bincount(mask.ravel(), minlength=VALUES)
        return cls(tuple(class_values(row.labels).tolist()), pixels, int(outline))

    @property
    def foreground(self) -> int:
        """Number of pixels of any class."""
        return int(self.pixels[BACKGROUND + 1 : IGNORE].sum())

    @property
    def size(self) -> int:
        """Number of pixels."""
        return int(self.pixels.sum())


def count_masks(rows: Iterable[ImageRow], masks: Mapping[str, NDArray[np.uint8]]) -> list[Counted]:
    """Count the masks of images, which must all have one."""
    rows = list(rows)
    return [Counted.of(row, masks[row.id]) for row in progress(rows, label="masks")]


def total(images: Iterable[Counted]) -> NDArray[np.int64]:
    """Number of pixels of each mask value (256,) in all images."""
    pixels = np.zeros(VALUES, np.int64)
    for image in images:
        pixels += image.pixels
    return pixels


def foreground_share(images: Sequence[Counted]) -> float:
    """Share of all pixels that belong to a class."""
    pixels = total(images)
    return float(pixels[BACKGROUND + 1 : IGNORE].sum() / pixels.sum())


def background_share(images: Sequence[Counted]) -> float:
    """Share of all pixels that are background."""
    pixels = total(images)
    return float(pixels[BACKGROUND] / pixels.sum())


def found(images: Iterable[Counted], value: int, least: int = 1) -> tuple[int, int]:
    """Count the images with a label whose mask has it on ``least`` pixels, and all with the label."""
    shown = [int(image.pixels[value]) >= least for image in images if value in image.labels]
    return sum(shown), len(shown)


def found_by_class(
    class_names: Iterable[str], images: Sequence[Counted], least: int = 1
) -> dict[str, tuple[int, int]]:
    """Do as `found` for each class, by name: the names are those of the mask values 1 … C, in order."""
    return {name: found(images, value, least) for value, name in enumerate(class_names, BACKGROUND + 1)}


def full_of_one_class(images: Sequence[Counted]) -> float:
    """Share of the images that are one class all over."""
    full = [image.pixels[BACKGROUND + 1 : IGNORE].max() >= ALMOST_ALL * image.size for image in images]
    return float(np.mean(full))


def without_background(images: Sequence[Counted]) -> float:
    """Share of the images in which nothing is background."""
    return float(np.mean([image.pixels[BACKGROUND] <= (1 - ALMOST_ALL) * image.size for image in images]))


def raggedness(images: Iterable[Counted]) -> float:
    """Length of a mask's outlines, divided by that of a square of its foreground: the median of images.

    1 is a square, 2 four squares or one object with arms, 10 a hundred specks. Images without foreground are
    left out; nan if there is no other.
    """
    ragged = [image.outline / (4 * image.foreground**0.5) for image in images if image.foreground]
    return float(np.median(ragged)) if ragged else float("nan")
