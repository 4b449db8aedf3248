"""Training the classifier (Ahn & Kwak 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.data import ImageRow, read_image
from wsss.data.transforms import TrainTransform
from wsss.models.checkpoints import classifier_of
from wsss.models.parameters import freeze
from wsss.models.weights.loading import resolve_weights
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, adopt, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import Classifier as ClassifierConfig


def train_classifier(rows: Sequence[ImageRow], config: ClassifierConfig, run: Run) -> None:
    """Train a multi-label classifier and write its checkpoint.

    Args:
        rows: training images with their labels.
        config: the section ``classifier``.
        run: where to write, the classes, and how to compute.

    Raises:
        ValueError: no images, or weights that cannot be had or do not fit.
        TrainingError: the training diverged.
    """
    if config.epochs == 0:
        adopt(classifier_of(config.model_dump(), len(run.classes)), config, run)
        return
    torch.manual_seed(run.seed)
    weights = resolve_weights(config.weights, config.backbone)
    model = classifier_of(config.model_dump(), len(run.classes), weights)
    freeze(model, config.frozen_stages, config.batch_norm)
    run.compute.place(model)
    transform = TrainTransform(
        config.crop_size,
        config.scale,
        config.jitter,
        model.backbone.normalization,
        longest_side=config.longest_side,
    )
    targets = multi_hot(rows, len(run.classes))

    def read(index: int, generator: np.random.Generator) -> Sample:
        image, _ = transform(read_image(rows[index].image), None, generator)
        return image, targets[index]

    def losses(images: Tensor, labels: Tensor) -> Losses:
        return {"loss": F.multilabel_soft_margin_loss(model(images), labels)}

    train(model, read, losses, samples=len(rows), config=config, run=run)


def multi_hot(rows: Sequence[ImageRow], n_classes: int) -> Tensor:
    """Tell which classes each image has: (N, n_classes) float32, 0 or 1."""
    targets = torch.zeros(len(rows), n_classes)
    for index, row in enumerate(rows):
        targets[index, list(row.labels)] = 1
    return targets
