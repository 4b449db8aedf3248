"""Training AffinityNet on confident regions (Ahn & Kwak 2018, section 3.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, read_image
from wsss.data.loading import prefetch
from wsss.data.transforms import Normalize, TrainTransform, scaled_labels
from wsss.method.affinity import STRIDE, affinity_loss, pair_targets
from wsss.method.confident import grid_labels
from wsss.method.labels import IGNORE
from wsss.models.affinitynet import AffinityNet
from wsss.models.checkpoints import affinitynet_of
from wsss.models.parameters import freeze
from wsss.runtime import Compute, progress
from wsss.stages.affinities.network import compute_levels
from wsss.stages.training.feature_store import LevelStore
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, adopt, first_weights, require_all, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import AffinityNet as AffinityNetConfig

LabelMap = NDArray[np.uint8]

logger = logging.getLogger(__name__)


def train_affinitynet(
    rows: Sequence[ImageRow],
    labels: Mapping[str, LabelMap],
    config: AffinityNetConfig,
    run: Run,
    *,
    classifier: Path | None = None,
    pooled: bool = False,
) -> None:
    """Train AffinityNet on confident regions and write its checkpoint.

    With ``freeze_backbone`` the backbone's levels are computed once per image, and only the layers above
    learn, from random crops of them: many cheap steps. Without, all layers learn, from augmented images; the
    batch norms of loaded weights stay frozen, as published.

    Args:
        rows: training images.
        labels: confident labels (H, W) by image id, in the image's pixels; images in which they form no pair
            of cells are skipped.
        config: the section ``affinitynet``.
        run: where to write, the classes, and how to compute.
        classifier: checkpoint that ``weights: classifier`` means.
        pooled: the labels are those of the image's stride-8 cells (`confident_labels` with ``pool``), which
            crops then keep whole; else the pixels of a crop's cells vote.

    Raises:
        ValueError: images without confident labels, no pair in any image, or weights that cannot be had or do
            not fit.
        OSError: the disk has no room for the levels.
        TrainingError: the training diverged.
    """
    if config.epochs == 0:
        adopt(affinitynet_of(config.model_dump(), len(run.classes)), config, run)
        return
    require_all(labels, rows, "map of confident regions")
    torch.manual_seed(run.seed)
    weights = first_weights(config, classifier)
    model = run.compute.place(affinitynet_of(config.model_dump(), len(run.classes), weights))
    usable, cells = images_with_pairs(rows, labels, config, run.compute, pooled)
    if config.freeze_backbone:
        freeze(model, len(model.backbone.stages), "frozen")
        train_on_levels(model, usable, cells, config, run)
    else:
        freeze(model, config.frozen_stages, "trained" if weights is None else "frozen")
        train_on_images(model, usable, labels, config, run, pooled)


def images_with_pairs(
    rows: Sequence[ImageRow],
    labels: Mapping[str, LabelMap],
    config: AffinityNetConfig,
    compute: Compute,
    pooled: bool,
) -> tuple[list[ImageRow], list[Tensor]]:
    """Reduce confident labels to cells; return the images in which they form pairs, and their cells."""

    def reduce(row: ImageRow) -> Tensor:
        return cell_labels(torch.tensor(scaled_labels(labels[row.id], config.input_scale)), pooled)

    usable, cells = [], []
    for row, reduced in zip(rows, prefetch(reduce, rows, compute.workers), strict=True):
        # Of all pairs, because a crop has a border of its own, wherever the image lies in it.
        if any(kind.any() for kind in pair_targets(reduced[None], config.radius, "full")):
            usable.append(row)
            cells.append(reduced)
    logger.info("confident pairs in %d of %d images; the others are skipped", len(usable), len(rows))
    if not usable:
        raise ValueError(
            f"AffinityNet: the confident regions of all {len(rows)} images hold no pair of cells; "
            "a higher confident.low_alpha and a lower high_alpha leave fewer pixels undecided"
        )
    return usable, cells


def train_on_levels(
    model: AffinityNet, rows: Sequence[ImageRow], cells: Sequence[Tensor], config: AffinityNetConfig, run: Run
) -> None:
    """Train the layers above a frozen backbone on random crops of its levels."""
    widths = [model.backbone.channels[level] for level in ("early", "middle", "last")]
    grids = [(labels.shape[0], labels.shape[1]) for labels in cells]
    side = min(config.crop_size // STRIDE, max(map(max, grids)))
    with LevelStore(run.checkpoint.parent, grids, sum(widths)) as store:
        maps = compute_levels(model.eval(), rows, input_scale=config.input_scale, compute=run.compute)
        index = {row.id: number for number, row in enumerate(rows)}
        for image_id, values in progress(maps, len(rows), "images", "backbone"):
            store[index[image_id]][:] = values

        def read(index: int, generator: np.random.Generator) -> Sample:
            return crop_cells(store[index], cells[index].numpy(), side, generator)

        def losses(levels: Tensor, labels: Tensor) -> Losses:
            maps = levels.view(-1, side, side, sum(widths)).permute(0, 3, 1, 2)
            return affinity_losses(model, torch.split(maps, widths, dim=1), labels)

        train(model, read, losses, samples=len(rows), config=config, run=run)


def train_on_images(
    model: AffinityNet,
    rows: Sequence[ImageRow],
    labels: Mapping[str, LabelMap],
    config: AffinityNetConfig,
    run: Run,
    pooled: bool,
) -> None:
    """Train the whole network on augmented images."""
    transform = augmentation(config, model.backbone.normalization, pooled)

    def read(index: int, generator: np.random.Generator) -> Sample:
        row = rows[index]
        image, cropped = transform(read_image(row.image), labels[row.id], generator)
        assert cropped is not None  # labels went in
        return image, cell_labels(cropped, pooled)

    def losses(images: Tensor, cells: Tensor) -> Losses:
        return affinity_losses(model, model.levels(images), cells)

    train(model, read, losses, samples=len(rows), config=config, run=run)


def augmentation(config: AffinityNetConfig, normalization: Normalize, pooled: bool) -> TrainTransform:
    """Make the views of images and label maps that train the whole network."""
    return TrainTransform(
        config.crop_size,
        (config.input_scale, config.input_scale),
        config.jitter,
        normalization,
        padding=config.padding,
        grid=STRIDE if pooled else 1,
    )


def cell_labels(labels: Tensor, pooled: bool) -> Tensor:
    """Reduce confident labels (H, W) to cells (ceil(H / 8), ceil(W / 8)).

    Pixels vote, undecided ones too. Pooled labels are the same in all of a cell but where the image ends.
    """
    return grid_labels(labels, STRIDE, ignore_votes=not pooled)


def crop_cells(
    levels: NDArray[np.float16], labels: LabelMap, side: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a random square of cells out of an image.

    Where the image is smaller than the square, its last cells are repeated, so that the statistics of a
    GroupNorm stay the image's own, and labelled 255, so that they form no pairs.

    Args:
        levels: (h, w, C) float16.
        labels: (h, w) uint8.
        side: of the square, in cells.
        generator: decides the place.

    Returns:
        levels (side * side, C) and labels (side, side).
    """
    height, width = labels.shape
    rows, columns = (
        np.arange(side) + generator.integers(max(length - side, 0) + 1) for length in (height, width)
    )
    place = np.ix_(rows.clip(max=height - 1), columns.clip(max=width - 1))
    cut = labels[place]
    cut[rows >= height] = IGNORE
    cut[:, columns >= width] = IGNORE
    return torch.from_numpy(levels[place].reshape(side * side, -1)), torch.from_numpy(cut)


def affinity_losses(model: AffinityNet, levels: Sequence[Tensor], cells: Tensor) -> Losses:
    """Compute the loss and its three terms from levels (B, C, h, w) and confident labels (B, h, w)."""
    stencil = model.stencil(model.features_from(levels))
    targets = pair_targets(cells, model.radius, model.border)
    loss, (background, foreground, different) = affinity_loss(stencil, targets)
    return {"loss": loss, "background": background, "foreground": foreground, "different": different}
