"""Images as a network on the stride-8 grid sees them, and the features of its backbone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.method.neighbours import STRIDE
from wsss.models.grid import GridNetwork
from wsss.runtime.compute import Compute
from wsss.stages.inference.passes import passes, scaled_batches


@torch.inference_mode()
def compute_features(
    model: GridNetwork, rows: Iterable[ImageRow], *, input_scale: float, compute: Compute
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Compute the features of a backbone on the grid, as they are when affinities are computed.

    Args:
        model: whose backbone it is.
        rows: the images.
        input_scale: factor on the image before the network; a cell covers 8 / input_scale of its pixels.
        compute: where and how.

    Yields:
        id and all features side by side, (ceil(sH / 8), ceil(sW / 8), C) float16.
    """
    for batch, images in padded_batches(model, rows, input_scale, compute):
        features, _ = next(passes(model.features, images, False, compute))
        maps = torch.cat([feature.half() for feature in features], dim=1).permute(0, 2, 3, 1)
        yield from ((row.id, values.numpy()) for row, values in zip(batch, maps.cpu(), strict=True))


def padded_batches(
    model: GridNetwork, rows: Iterable[ImageRow], input_scale: float, compute: Compute
) -> Iterator[tuple[list[ImageRow], tuple[Tensor, ...]]]:
    """Yield batches of images of equal size, scaled and padded right and bottom with the mean colour.

    Padded to whole cells, so that the mirror image's grid is the mirrored grid.
    """
    for batch, (images,) in scaled_batches(model.backbone.normalization, rows, (input_scale,), compute):
        yield batch, (padded(images),)


def padded(images: Tensor) -> Tensor:
    """Pad normalised images (B, 3, H, W) right and bottom with the mean colour, to whole cells."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE))
