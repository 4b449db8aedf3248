"""Batches of images at several scales, and what a network makes of each and of its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor

from wsss.data import ImageRow, read_image
from wsss.data.loading import image_batches
from wsss.data.transforms import normalised, scaled
from wsss.models.backbone import Normalization
from wsss.runtime import Compute

Output = TypeVar("Output")


def scaled_batches(
    normalization: Normalization, rows: Iterable[ImageRow], scales: Sequence[float], compute: Compute
) -> Iterator[tuple[list[ImageRow], tuple[Tensor, ...]]]:
    """Yield batches of images of equal size, each at every scale."""

    def load(row: ImageRow) -> tuple[Tensor, ...]:
        image = read_image(row.image)
        return tuple(normalised(scaled(image, scale), normalization) for scale in scales)

    return image_batches(load, rows, compute, max(scales))


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


def bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps (B, C, h, w) to ``size`` (H, W)."""
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
