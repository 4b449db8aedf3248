"""Batches of images at several scales, and what a network makes of each and of its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.data.loading import image_batches
from wsss.data.transforms import Normalize, normalised, scaled
from wsss.runtime.compute import Compute

Output = TypeVar("Output")


def scaled_batches(
    normalization: Normalize, rows: Iterable[ImageRow], scales: Sequence[float], compute: Compute
) -> Iterator[tuple[list[ImageRow], tuple[Tensor, ...]]]:
    """Read images in batches of equal size.

    Args:
        normalization: of the network that will see them.
        rows: the images.
        scales: factors on the image.
        compute: how large a batch may be, and how many threads load.

    Yields:
        The rows of a batch, and for each scale their images (B, 3, sH, sW) float32, normalised.
    """

    def load(row: ImageRow) -> tuple[Tensor, ...]:
        return at_scales(row.photograph(), normalization, scales)

    return image_batches(load, rows, compute, max(scales))


def at_scales(
    image: NDArray[np.uint8], normalization: Normalize, scales: Sequence[float]
) -> tuple[Tensor, ...]:
    """Resize an image (H, W, 3) by each scale, and normalise it: (3, sH, sW) float32."""
    return tuple(normalised(scaled(image, scale), normalization) for scale in scales)


def passes(
    network: Callable[[Tensor], Output], images: Iterable[Tensor], flip: bool, compute: Compute
) -> Iterator[tuple[Output, bool]]:
    """Yield the network's output for each batch, and for its mirror image, and whether it was mirrored."""
    for image in images:
        image = compute.put(image)
        for mirrored in (False, True)[: 1 + flip]:
            with compute.autocast():
                result = network(image.flip(-1) if mirrored else image)
            yield result, mirrored
