"""Training the classifier (Ahn & Kwak 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss.data import ImageRow
from wsss.data.transforms import TrainTransform
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.initial_weights import resolve_weights
from wsss.models.parameters import freeze
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, adopt, distribute, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import Classifier as ClassifierSection
from wsss.study.config.fields import settled


def train_classifier(rows: Sequence[ImageRow], section: ClassifierSection, run: Run) -> None:
    """Train a multi-label classifier and write its checkpoint.

    Args:
        rows: training images with their labels.
        section: the section ``classifier``.
        run: where to write, the classes, and how to compute.

    Raises:
        ValueError: no images, a batch that the processes cannot share, or weights that cannot be had or do
            not fit.
        TrainingError: the training diverged.
    """
    if section.epochs == 0:
        adopt(build_classifier(section, len(run.class_names)), section, run)
        return
    distribute(_train, section, run, rows)


def _train(section: ClassifierSection, run: Run, rows: Sequence[ImageRow]) -> None:
    torch.manual_seed(run.seed)
    weights = resolve_weights(section.weights, section.backbone)
    network = build_classifier(section, len(run.class_names), weights)
    freeze(network, section.frozen_stages, section.batch_norm)
    run.compute.place(network)
    transform = TrainTransform(
        settled(section.crop_size),
        section.scale,
        section.jitter,
        network.backbone.normalization,
        longest_side=section.longest_side,
    )
    targets = multi_hot(rows, len(run.class_names))

    def read(index: int, generator: np.random.Generator) -> Sample:
        image, _ = transform(rows[index].photograph(), None, generator)
        return image, targets[index]

    train(network, ClassifierLoss(network), read, samples=len(rows), section=section, run=run)


class ClassifierLoss(nn.Module):
    """Cross entropy of each class being in the image, averaged over images and classes."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, labels: Tensor) -> Losses:
        """Map normalised images (B, 3, H, W) and labels (B, n_classes), 0 or 1, to the loss."""
        return {"loss": F.multilabel_soft_margin_loss(self.network(images), labels)}


def multi_hot(rows: Sequence[ImageRow], n_classes: int) -> Tensor:
    """Tell which classes each image has: (N, n_classes) float32, 0 or 1."""
    targets = torch.zeros(len(rows), n_classes)
    for index, row in enumerate(rows):
        targets[index, list(row.labels)] = 1
    return targets
