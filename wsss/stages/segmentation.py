"""Masks predicted by the segmentation network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.method.resizing import bilinear
from wsss.runtime.compute import Compute
from wsss.stages.inference.passes import passes, scaled_batches
from wsss.stages.inference.refinement import image_refinement
from wsss.study.config import DenseCrf, Segmentation

if TYPE_CHECKING:
    from wsss.models.segmenter import Segmenter


def segment(
    model: Segmenter,
    rows: Iterable[ImageRow],
    segmentation: Segmentation,
    compute: Compute,
    dense_crf: DenseCrf | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Predict masks: the class with the largest sum of probabilities over scales and mirror images.

    Args:
        model: the segmentation network.
        rows: the images.
        segmentation: scales, and whether to see the mirror image too.
        compute: where and how.
        dense_crf: refines the probabilities, if given.

    Yields:
        id and mask (H, W) uint8 of mask values.
    """
    for batch, images in scaled_batches(model.backbone.normalization, rows, segmentation.scales, compute):
        size = (batch[0].height, batch[0].width)
        probabilities = class_probabilities(model, images, size, segmentation.flip, compute)
        for row, scores in zip(batch, probabilities, strict=True):
            refined = image_refinement(row, dense_crf, scores.device)(scores) if dense_crf else scores
            yield row.id, refined.argmax(0).to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def class_probabilities(
    model: Segmenter, images: Sequence[Tensor], size: tuple[int, int], flip: bool, compute: Compute
) -> Tensor:
    """Average a network's probabilities over the scales and mirror images of a batch.

    Args:
        model: the segmentation network.
        images: (B, 3, sH, sW) float32, normalised, for each scale.
        size: (H, W) of the result.
        flip: whether to see the mirror images too.
        compute: where and how.

    Returns:
        (B, 1 + C, H, W) float32, background first.
    """
    shares = (
        bilinear(logits.flip(-1).softmax(1) if mirrored else logits.softmax(1), size)
        for logits, mirrored in passes(model, images, flip, compute)
    )
    total: Tensor = reduce(torch.add, shares)
    return total / (len(images) * (1 + flip))
