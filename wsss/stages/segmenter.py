"""Training the segmentation network on pseudo masks (Ahn & Kwak 2018, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, read_image
from wsss.data.transforms import TrainTransform
from wsss.method.labels import IGNORE
from wsss.models.checkpoints import segmenter_of
from wsss.models.parameters import freeze
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, first_weights, require_all, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import Segmenter as SegmenterConfig


def train_segmenter(
    rows: Sequence[ImageRow],
    pseudo_masks: Mapping[str, NDArray[np.uint8]],
    config: SegmenterConfig,
    run: Run,
    *,
    classifier: Path | None = None,
) -> None:
    """Train a segmentation network on pseudo masks and write its checkpoint.

    Args:
        rows: training images.
        pseudo_masks: by image id.
        config: the section ``segmenter``.
        run: where to write, the classes, and how to compute.
        classifier: checkpoint that ``weights: classifier`` means.

    Raises:
        ValueError: no images, images without pseudo mask, or weights that cannot be had or do not fit.
        TrainingError: the training diverged.
    """
    require_all(pseudo_masks, rows, "pseudo mask")
    torch.manual_seed(run.seed)
    model = segmenter_of(config.model_dump(), len(run.classes), first_weights(config, classifier))
    freeze(model, config.frozen_stages, config.batch_norm)
    run.compute.place(model)
    transform = TrainTransform(config.crop_size, config.scale, config.jitter, model.backbone.normalization)

    def read(index: int, generator: np.random.Generator) -> Sample:
        row = rows[index]
        image, mask = transform(read_image(row.image), pseudo_masks[row.id], generator)
        assert mask is not None  # one went in
        return image, mask

    def losses(images: Tensor, masks: Tensor) -> Losses:
        return {"loss": masked_cross_entropy(model(images), masks)}

    train(model, read, losses, samples=len(rows), config=config, run=run)


def masked_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy averaged over the pixels that are not 255; 0 where all are.

    Args:
        logits: (B, C, H, W).
        masks: (B, H, W) uint8.

    Returns:
        A scalar.
    """
    total = F.cross_entropy(logits, masks.long(), ignore_index=IGNORE, reduction="sum")
    return total / (masks != IGNORE).sum().clamp(min=1)
