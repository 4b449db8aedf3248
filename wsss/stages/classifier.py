"""Training the classifier (Ahn & Kwak 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss.data import ImageRow
from wsss.data.transforms import TrainTransform
from wsss.method.equivariance import equivariance_loss, mirrored_view
from wsss.method.refit import pooled_under_cams, refit_loss
from wsss.method.resizing import scaled_size
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.initial_weights import resolve_weights
from wsss.models.network import widened
from wsss.models.parameters import freeze
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, adopt, distribute, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import Classifier as ClassifierSection
from wsss.study.config import Equivariance
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

    losses = ClassifierLoss(network, section.equivariance, section.refit)
    train(network, losses, read, samples=len(rows), section=section, run=run)


class ClassifierLoss(nn.Module):
    """Cross entropy of each class being in the image, averaged over images and classes, and what is added.

    With `Equivariance`, a smaller view of each image must have the same labels and CAMs, see
    `wsss.method.equivariance`. With ``refit``, the second head learns as `wsss.method.refit` says, and
    nothing else learns from that: all other layers end as they would without it.
    """

    def __init__(
        self, network: Classifier, equivariance: Equivariance | None = None, refit: float = 0.0
    ) -> None:
        super().__init__()
        self.network = network
        self.equivariance, self.refit = equivariance or Equivariance(), refit

    def forward(self, images: Tensor, labels: Tensor) -> Losses:
        """Map normalised images (B, 3, H, W) and labels (B, n_classes), 0 or 1, to the loss and its terms."""
        features = self.network.features(images)
        loss = F.multilabel_soft_margin_loss(self.network.logits(features), labels)
        terms = {"labels": loss}
        if self.equivariance.weight:
            view = self.network.features(self._view_of(images))
            of_view = F.multilabel_soft_margin_loss(self.network.logits(view), labels)
            terms["labels"] = (loss + of_view) / 2
            raw, raw_of_view = (widened(self.network.fc8(seen)) for seen in (features, view))
            terms["equivariance"] = equivariance_loss(raw, raw_of_view, labels)
        if self.refit:
            terms["refit"] = self._refit(features, labels)
        if len(terms) == 1:
            return {"loss": loss}
        weights = {"labels": 1.0, "equivariance": self.equivariance.weight, "refit": self.refit}
        total = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return {"loss": total, **terms}

    def _view_of(self, images: Tensor) -> Tensor:
        return mirrored_view(images, scaled_size(images.shape[-2:], self.equivariance.scale))

    def _refit(self, features: Tensor, labels: Tensor) -> Tensor:
        pooled = pooled_under_cams(features.detach(), widened(self.network.fc8(features)))
        layer = self.network.head("refit")
        return refit_loss(widened(F.linear(pooled, layer.weight.flatten(1))), labels)


def multi_hot(rows: Sequence[ImageRow], n_classes: int) -> Tensor:
    """Tell which classes each image has: (N, n_classes) float32, 0 or 1."""
    targets = torch.zeros(len(rows), n_classes)
    for index, row in enumerate(rows):
        targets[index, list(row.labels)] = 1
    return targets
