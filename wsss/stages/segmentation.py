"""Masks predicted by the segmentation network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import ImageRow
from wsss.method.resizing import bilinear
from wsss.runtime import Compute
from wsss.stages.inference.passes import passes, scaled_batches
from wsss.stages.inference.refinement import image_refinement
from wsss.study.config import DenseCrf, Segmentation

if TYPE_CHECKING:
    from wsss.models.segmenter import Segmenter


@torch.inference_mode()
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
    scales, flip = segmentation.scales, segmentation.flip
    for batch, images in scaled_batches(model.backbone.normalization, rows, scales, compute):
        size = (batch[0].height, batch[0].width)
        shares = (
            bilinear(logits.flip(-1).softmax(1) if mirrored else logits.softmax(1), size)
            for logits, mirrored in passes(model, images, flip, compute)
        )
        probabilities = reduce(torch.add, shares) / (len(scales) * (1 + flip))
        for row, scores in zip(batch, probabilities, strict=True):
            refined = image_refinement(row, dense_crf, scores.device)(scores) if dense_crf else scores
            yield row.id, refined.argmax(0).to(torch.uint8).cpu().numpy()
