"""Training on pairs of confident cells, from images or from features of a frozen backbone.

What AffinityNet and IRNet have in common; each brings its network and its losses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsss.data import ImageRow
from wsss.data.loading import prefetch
from wsss.data.transforms import Normalize, TrainTransform, scaled_labels
from wsss.method.affinity import pair_counts, pair_targets
from wsss.method.confident import grid_labels
from wsss.method.labels import IGNORE
from wsss.method.neighbours import STRIDE
from wsss.models.grid import GridNetwork
from wsss.models.parameters import freeze
from wsss.runtime.compute import Compute
from wsss.runtime.processes import joined, share
from wsss.stages.features import FeatureFolder, folder_for
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, adopt, distribute, first_weights, require_all, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import AffinityNet, IRNet, OnImages
from wsss.study.config.fields import settled

LabelMap = NDArray[np.uint8]
LabelMaps = Mapping[str, LabelMap]
PairSection = AffinityNet | IRNet

logger = logging.getLogger(__name__)


class PairLosses(nn.Module):
    """Losses of a network on the grid, averaged over the pairs in the batches of all processes."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, images: Tensor, cells: Tensor) -> Losses:
        """Map normalised images (B, 3, H, W) and labels of cells (B, h, w) to the loss and its terms."""
        return self.losses(self.network.features(images), cells)

    def losses(self, features: Sequence[Tensor], cells: Tensor) -> Losses:
        """Map features (B, C, h, w) and labels (B, h, w) to the loss and its terms."""
        raise NotImplementedError


class FromFeatures(nn.Module):
    """The same losses from features that the frozen backbone has computed."""

    def __init__(self, inner: PairLosses) -> None:
        super().__init__()
        self.inner = inner

    @property
    def network(self) -> Any:
        """The network that learns."""
        return self.inner.network

    def forward(self, features: Tensor, cells: Tensor) -> Losses:
        """Map features (B, h * w, C), side by side, and labels (B, h, w) to the loss and its terms."""
        maps = features.unflatten(1, cells.shape[1:]).permute(0, 3, 1, 2)
        return self.inner.losses(torch.split(maps, list(self.network.widths), dim=1), cells)


def train_on_pairs(
    build: Callable[..., GridNetwork],
    losses: Callable[[Any], PairLosses],
    rows: Sequence[ImageRow],
    labels: LabelMaps,
    section: PairSection,
    run: Run,
    *,
    classifier: Path | None = None,
    pooled: bool = False,
) -> None:
    """Train a network on confident regions and write its checkpoint.

    On images, all layers learn that are not frozen, from augmented views. On features, the backbone is frozen
    and its features are computed once, see `wsss.stages.features`: only the layers above learn, from random
    crops of them, in many cheap steps.

    Args:
        build: makes the network from its section, and the state dict with the backbone's weights if any. As
            `losses`, picklable if several processes train.
        losses: makes its losses from the network.
        rows: training images.
        labels: confident labels (H, W) uint8 by image id, in the image's pixels; images in which they form no
            pair of cells are skipped. Picklable if several processes train.
        section: the network's section.
        run: where to write, the classes, and how to compute.
        classifier: checkpoint that ``weights: classifier`` means.
        pooled: the labels are those of the image's stride-8 cells (`confident_labels` with ``pool``), which
            crops then keep whole; else the pixels of a crop's cells vote.

    Raises:
        ValueError: images without confident labels, no pair in any image, a batch that the processes cannot
            share, or weights that cannot be had or do not fit.
        OSError: the disk has no room for the features.
        TrainingError: the training diverged.
    """
    if section.epochs == 0:
        adopt(build(section), section, run)
        return
    require_all(labels, rows, "map of confident regions")
    distribute(_train, section, run, build, losses, rows, labels, classifier, pooled)


def _train(
    section: PairSection,
    run: Run,
    build: Callable[..., GridNetwork],
    losses: Callable[[Any], PairLosses],
    rows: Sequence[ImageRow],
    labels: LabelMaps,
    classifier: Path | None,
    pooled: bool,
) -> None:
    torch.manual_seed(run.seed)
    weights = first_weights(section, classifier)
    network = run.compute.place(build(section, weights))
    usable, cells = images_with_pairs(rows, labels, section, run.compute, pooled)
    if section.train_on.kind == "images":
        freeze(network, section.train_on.frozen_stages, section.train_on.batch_norm)
        transform = augmentation(section, section.train_on, network.backbone.normalization, pooled)
        train_on_images(losses(network), usable, labels, transform, section, run, pooled)
    else:
        freeze(network, len(network.backbone.stages), "frozen")
        train_on_features(losses(network), usable, cells, section, run)


def images_with_pairs(
    rows: Sequence[ImageRow],
    labels: LabelMaps,
    section: PairSection,
    compute: Compute,
    pooled: bool,
) -> tuple[list[ImageRow], list[Tensor]]:
    """Reduce confident labels to cells; return the images in which they form pairs, and their cells."""

    name = type(section).__name__

    def reduce(row: ImageRow) -> Tensor | None:
        reduced = cell_labels(
            torch.tensor(scaled_labels(labels[row.id], settled(section.input_scale))), pooled
        )
        # Of all pairs, because a crop has a border of its own, wherever the image lies in it.
        return reduced if any(pair_counts(pair_targets(reduced[None], section.radius, "full"))) else None

    cells = joined(list(prefetch(reduce, share(rows), compute.workers)))
    usable = [(row, reduced) for row, reduced in zip(rows, cells, strict=True) if reduced is not None]
    logger.info("confident pairs in %d of %d images; the others are skipped", len(usable), len(rows))
    if not usable:
        raise ValueError(
            f"{name}: the confident regions of all {len(rows)} images hold no pair of cells; the closer "
            "the two thresholds of confident.background are, the fewer pixels are left undecided"
        )
    return [row for row, _ in usable], [reduced for _, reduced in usable]


def train_on_features(
    losses: PairLosses,
    rows: Sequence[ImageRow],
    cells: Sequence[Tensor],
    section: PairSection,
    run: Run,
) -> None:
    """Train the layers above a frozen backbone on random crops of its features."""
    network: GridNetwork = losses.network
    side = min(section.crop_size // STRIDE, max(max(labels.shape) for labels in cells))
    with folder_for(run.features, beside=run.checkpoint) as folder:
        kept = FeatureFolder(folder, network.eval(), section, run.compute)
        kept.complete(rows)
        with kept.opened() as features:

            def read(index: int, generator: np.random.Generator) -> Sample:
                return crop_cells(features[rows[index].id], cells[index].numpy(), side, generator)

            train(network, FromFeatures(losses), read, samples=len(rows), section=section, run=run)


def train_on_images(
    losses: PairLosses,
    rows: Sequence[ImageRow],
    labels: LabelMaps,
    transform: TrainTransform,
    section: PairSection,
    run: Run,
    pooled: bool,
) -> None:
    """Train the whole network on augmented images."""

    def read(index: int, generator: np.random.Generator) -> Sample:
        row = rows[index]
        image, cropped = transform(row.photograph(), labels[row.id], generator)
        assert cropped is not None  # labels went in
        return image, cell_labels(cropped, pooled)

    train(losses.network, losses, read, samples=len(rows), section=section, run=run)


def augmentation(
    section: PairSection, views: OnImages, normalization: Normalize, pooled: bool
) -> TrainTransform:
    """Make the views of images and label maps that train the whole network."""
    return TrainTransform(
        section.crop_size,
        (settled(section.input_scale),) * 2,
        views.jitter,
        normalization,
        padding=views.padding,
        grid=STRIDE if pooled else 1,
    )


def cell_labels(labels: Tensor, pooled: bool) -> Tensor:
    """Reduce confident labels (H, W) to cells (ceil(H / 8), ceil(W / 8)).

    Pixels vote, undecided ones too. Pooled labels are the same in all of a cell but where the image ends.
    """
    return grid_labels(labels, STRIDE, ignore_votes=not pooled)


def crop_cells(
    features: NDArray[np.float16], labels: LabelMap, side: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a random square of cells out of an image.

    Where the image is smaller than the square, its last cells are repeated, so that the statistics of a
    GroupNorm stay the image's own, and labelled 255, so that they form no pairs.

    Args:
        features: (h, w, C) float16.
        labels: (h, w) uint8.
        side: of the square, in cells.
        generator: decides the place.

    Returns:
        features (side * side, C) and labels (side, side).
    """
    height, width = labels.shape
    rows, columns = (
        np.arange(side) + generator.integers(max(length - side, 0) + 1) for length in (height, width)
    )
    place = np.ix_(rows.clip(max=height - 1), columns.clip(max=width - 1))
    cut = labels[place]
    cut[rows >= height] = IGNORE
    cut[:, columns >= width] = IGNORE
    return torch.from_numpy(features[place].reshape(side * side, -1)), torch.from_numpy(cut)
