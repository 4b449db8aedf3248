"""What the classifier sees in images: its logits, and class activation maps (CAMs)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.method.cam import combine_cams
from wsss.models.classifier import Classifier
from wsss.runtime import Compute
from wsss.stages.inference.passes import passes, scaled_batches


@torch.inference_mode()
def classify(
    model: Classifier, rows: Iterable[ImageRow], *, compute: Compute
) -> Iterator[tuple[ImageRow, Tensor]]:
    """Yield each image with its logits (n_classes,), from one pass over the whole image."""
    for batch, images in scaled_batches(model.backbone.normalization, rows, (1.0,), compute):
        logits = next(passes(model, images, False, compute))[0]
        yield from zip(batch, logits.cpu(), strict=True)


@torch.inference_mode()
def compute_cams(
    model: Classifier, rows: Iterable[ImageRow], *, scales: Sequence[float], flip: bool, compute: Compute
) -> Iterator[tuple[str, NDArray[np.float16], NDArray[np.int64]]]:
    """Compute the CAMs of each image's labels (Ahn & Kwak 2018, section 3.1).

    Args:
        model: the classifier.
        rows: the images, with their labels.
        scales: factors on the image; the scores of all are added.
        flip: see the mirror image too.
        compute: where and how.

    Yields:
        id, CAMs (K, H, W) float16 in [0, 1], and their classes (K,), 0-based and ascending; K is 0 without
        labels.
    """
    for batch, images in scaled_batches(model.backbone.normalization, rows, scales, compute):
        counts = [len(row.labels) for row in batch]
        owner = torch.arange(len(batch)).repeat_interleave(torch.tensor(counts))
        labels = torch.tensor([label for row in batch for label in row.labels], dtype=torch.int64)
        seen = ((raw[owner, labels], mirrored) for raw, mirrored in passes(model.cam, images, flip, compute))
        size, power = (batch[0].height, batch[0].width), model.backbone.cam_exponent
        cams = combine_cams(seen, size, power=power).half().cpu()
        for row, stack in zip(batch, torch.split(cams, counts), strict=True):
            yield row.id, stack.numpy(), np.array(row.labels, np.int64)
