"""Quality per image as tab-separated values, which the scoring writes once and the report reads.

One line per image, true value and predicted value with the number of their pixels; lines of no pixel are left
out, and so are images of which no pixel has a known truth. The sum over the images is the confusion matrix of
the data set. Of a classifier there is one line per image and class.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from wsss.method.labels import BACKGROUND, IGNORE
from wsss.method.overlap import overlap
from wsss.results.rows import read_rows, write_rows

CONFUSION_COLUMNS = ("image", "split", "true", "predicted", "pixels")
CLASSIFIED_COLUMNS = ("image", "split", "class_value", "score", "label")


class ImageConfusion(NamedTuple):
    """Which mask values an image's pixels have and were given.

    Attributes:
        image: its id.
        split: of the data set.
        counts: (N, 3) int64, one row per pair that occurs, ascending: true value, predicted value (255 for
            undecided pixels of confident regions), and their number of pixels, above 0.
    """

    image: str
    split: str
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, image: str, split: str, confusion: NDArray[np.int64]) -> Self:
        """Count by a confusion matrix (C, C), or (C, C + 1) with the undecided pixels in the last column."""
        true, predicted = confusion.nonzero()
        pixels = confusion[true, predicted]
        undecided = predicted == len(confusion)
        return cls(image, split, np.stack([true, np.where(undecided, IGNORE, predicted), pixels], 1))

    def matrix(self, n_values: int) -> NDArray[np.int64]:
        """The confusion matrix (C, C + 1) of C mask values; undecided pixels are in the last column."""
        confusion = np.zeros((n_values, n_values + 1), np.int64)
        true, predicted, pixels = self.counts.T
        confusion[true, np.where(predicted == IGNORE, n_values, predicted)] = pixels
        return confusion


class ClassifiedImage(NamedTuple):
    """What a classifier says of one class in an image, and whether the image has it.

    Attributes:
        image: its id.
        split: of the data set.
        class_value: the mask value of the class.
        score: the logit.
        label: whether the class is among the image's labels.
    """

    image: str
    split: str
    class_value: int
    score: float
    label: bool


def image_iou(images: Iterable[ImageConfusion], n_values: int) -> dict[str, NDArray[np.float64]]:
    """Intersection over union per mask value (C,) of each image, nan for a value in neither truth nor mask.

    Images of which no pixel has a known truth are left out.
    """
    return {image.image: _iou(image, n_values) for image in images if len(image.counts)}


def image_miou(images: Iterable[ImageConfusion], n_values: int) -> dict[str, float]:
    """Mean IoU of each image, over the mask values that appear in it, background included."""
    return {image: float(np.nanmean(iou)) for image, iou in image_iou(images, n_values).items()}


def _iou(image: ImageConfusion, n_values: int) -> NDArray[np.float64]:
    square = np.pad(image.matrix(n_values), ((0, 1), (0, 0)))
    hits = np.diagonal(square).astype(np.float64)
    with np.errstate(invalid="ignore"):  # 0 / 0, for a value in neither
        iou: NDArray[np.float64] = overlap(hits, square.sum(1), square.sum(0))
    return iou[:n_values]


MAX_COUNT = 2**62
"""Pixels of an image, and more than any has."""


def write_confusions(path: str | Path, images: Iterable[ImageConfusion]) -> None:
    """Write what `read_confusions` reads, whole or not at all."""
    lines = ((image, split, *map(int, row)) for image, split, counts in images for row in counts)
    write_rows(path, CONFUSION_COLUMNS, lines)


def read_confusions(path: str | Path, n_values: int) -> list[ImageConfusion]:
    """Read the confusions of images, in the order of the file.

    Args:
        path: a file of `write_confusions`.
        n_values: C, the number of mask values, background included.

    Raises:
        ArtifactError: naming file and line of what is no such row, or comes twice.
    """

    def row(
        image: str, split: str, true: str, predicted: str, pixels: str
    ) -> tuple[str, str, tuple[int, ...]]:
        counted = int(true), int(predicted), int(pixels)
        if not (0 <= counted[0] < n_values and (0 <= counted[1] < n_values or counted[1] == IGNORE)):
            raise ValueError(f"true {true} and predicted {predicted}, expected mask values below {n_values}")
        if not 0 < counted[2] <= MAX_COUNT:
            raise ValueError(f"{pixels:.30} pixels, expected 1 to {MAX_COUNT:,}")
        return image, split, counted

    by_image: dict[tuple[str, str], list[tuple[int, ...]]] = defaultdict(list)
    for image, split, counted in read_rows(path, CONFUSION_COLUMNS, row, key=4):
        by_image[image, split].append(counted)
    return [ImageConfusion(*image, np.array(counts, np.int64)) for image, counts in by_image.items()]


def write_classified(path: str | Path, images: Iterable[ClassifiedImage]) -> None:
    """Write what `read_classified` reads, whole or not at all; scores with the nine digits of float32."""
    lines = (
        (image, split, value, f"{score:.9g}", int(label)) for image, split, value, score, label in images
    )
    write_rows(path, CLASSIFIED_COLUMNS, lines)


def read_classified(path: str | Path) -> list[ClassifiedImage]:
    """Read a classifier's scores.

    Raises:
        ArtifactError: naming file and line of what is no such row, or comes twice.
    """

    def row(image: str, split: str, class_value: str, score: str, label: str) -> ClassifiedImage:
        value, logit = int(class_value), float(score)
        if not BACKGROUND < value < IGNORE or label not in ("0", "1") or math.isnan(logit):
            raise ValueError(
                f"class value {class_value}, score {score}, label {label}: expected 1…{IGNORE - 1}, a "
                "number, 0 or 1"
            )
        return ClassifiedImage(image, split, value, logit, label == "1")

    return list(read_rows(path, CLASSIFIED_COLUMNS, row, key=3))
