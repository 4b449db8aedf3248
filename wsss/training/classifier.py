"""Training the classifier (Ahn & Kwak 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.checkpoints import classifier_of
from wsss.config import Classifier as ClassifierConfig
from wsss.datasets import ImageRow, read_image
from wsss.inference import classify
from wsss.loading import Compute
from wsss.metrics import average_precision
from wsss.networks import Classifier, freeze
from wsss.training.loop import Losses
from wsss.training.run import Run, train
from wsss.training.sampling import Sample
from wsss.transforms import TrainTransform
from wsss.weights import resolve_weights


def train_classifier(
    rows: Sequence[ImageRow], config: ClassifierConfig, run: Run, *, validation: Sequence[ImageRow] = ()
) -> None:
    """Train a multi-label classifier and write its checkpoint.

    Args:
        rows: training images with their labels.
        config: the section ``classifier``.
        run: where to write, the classes, and how to compute.
        validation: images whose mAP the history shows after each epoch; nothing is chosen by it.

    Raises:
        ValueError: no images, or weights that cannot be had or do not fit.
        TrainingError: the training diverged.
    """
    torch.manual_seed(run.seed)
    weights = resolve_weights(config.weights, config.backbone)
    model = classifier_of(config.model_dump(), len(run.classes), weights)
    freeze(model, config.frozen_stages, config.batch_norm)
    run.compute.place(model)
    transform = TrainTransform(config.crop_size, config.scale, config.jitter, model.backbone.normalization)
    targets = multi_hot(rows, len(run.classes))

    def read(index: int, generator: np.random.Generator) -> Sample:
        image, _ = transform(read_image(rows[index].image), None, generator)
        return image, targets[index]

    def losses(images: Tensor, labels: Tensor) -> Losses:
        return {"loss": F.multilabel_soft_margin_loss(model(images), labels)}

    figures = {"mAP": lambda: mean_average_precision(model, validation, run.compute)} if validation else {}
    train(model, read, losses, samples=len(rows), config=config, run=run, figures=figures)


def multi_hot(rows: Sequence[ImageRow], n_classes: int) -> Tensor:
    """Tell which classes each image has: (N, n_classes) float32, 0 or 1."""
    targets = torch.zeros(len(rows), n_classes)
    for index, row in enumerate(rows):
        targets[index, list(row.labels)] = 1
    return targets


def mean_average_precision(model: Classifier, rows: Sequence[ImageRow], compute: Compute) -> float:
    """Mean over the classes that appear of the average precision, in [0, 1]; ``model`` in evaluation mode."""
    classified, logits = zip(*classify(model, rows, compute=compute), strict=True)
    scores = torch.stack(logits)
    return average_precision(scores, multi_hot(classified, scores.shape[1])).nanmean().item()
