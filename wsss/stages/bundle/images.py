"""One image or several, of any kind and size: what a model is asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data import image_pixels

Pixels = NDArray[np.uint8]
ImageLike = str | Path | Image.Image | Pixels
"""A path, a Pillow image, or an array (H, W, 3) uint8 in RGB."""

IMAGES_AT_ONCE = 32
"""Of an iterator so many images are read ahead, and those of one size computed together."""

Result = TypeVar("Result")
ComputeBatch = Callable[[Sequence[Pixels]], Iterable[Result]]
"""Gives the results of images of one size, in their order."""


def over_images(images: Any, compute_batch: ComputeBatch[Result], batch_pixels: float) -> Any:
    """Compute a result per image, images of one size together.

    Args:
        images: an `ImageLike`, or a list, tuple or iterator of these.
        compute_batch: computes the results.
        batch_pixels: the most pixels in a batch, which has at least one image.

    Returns:
        The result of an image; of a list or tuple a list; of an iterator an iterator.

    Raises:
        ValueError: an image cannot be read, or is no image.
        FileNotFoundError: there is no such file.
    """
    if isinstance(images, (list, tuple)):
        return list(_results(images, compute_batch, batch_pixels))
    if isinstance(images, Iterator):
        return _results(images, compute_batch, batch_pixels)
    return next(_results([images], compute_batch, batch_pixels))


def _results(
    images: Iterable[ImageLike], compute_batch: ComputeBatch[Result], batch_pixels: float
) -> Iterator[Result]:
    remaining = iter(images)
    while chunk := [image_pixels(image) for image in islice(remaining, IMAGES_AT_ONCE)]:
        yield from _chunk(chunk, compute_batch, batch_pixels)


def _chunk(
    images: Sequence[Pixels], compute_batch: ComputeBatch[Result], batch_pixels: float
) -> list[Result]:
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        by_size[image.shape].append(index)
    results: dict[int, Result] = {}
    for (height, width, _), indices in by_size.items():
        count = max(1, int(batch_pixels / (height * width)))
        for start in range(0, len(indices), count):
            batch = indices[start : start + count]
            results |= zip(batch, compute_batch([images[index] for index in batch]), strict=True)
    return [results[index] for index in range(len(images))]
