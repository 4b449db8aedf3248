"""Training the segmentation network on pseudo masks (Ahn & Kwak 2018, section 3.4), or on true ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from wsss.data import ImageRow, read_image, read_mask
from wsss.data.transforms import TrainTransform
from wsss.method.labels import IGNORE
from wsss.models.parameters import freeze
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.runtime.processes import process_count, total
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, distribute, first_weights, require_all, train
from wsss.stages.training.sampling import Sample
from wsss.study.config import Segmenter as SegmenterSection
from wsss.study.config.fields import settled

PseudoMasks = Mapping[str, NDArray[np.uint8]]

logger = logging.getLogger(__name__)


def train_segmenter(
    rows: Sequence[ImageRow],
    pseudo_masks: PseudoMasks,
    section: SegmenterSection,
    run: Run,
    *,
    classifier: Path | None = None,
    corrected: PseudoMasks | None = None,
) -> None:
    """Train a segmentation network on pseudo masks and write its checkpoint.

    Args:
        rows: training images.
        pseudo_masks: mask values (H, W) uint8 by image id, 255 where unknown; picklable if several processes
            train.
        section: the section ``segmenter``.
        run: where to write, the classes, and how to compute.
        classifier: checkpoint that ``weights: classifier`` means.
        corrected: masks that take the place of pseudo masks, likewise.

    Raises:
        ValueError: no images, images without pseudo mask, a batch that the processes cannot share, or weights
            that cannot be had or do not fit.
        TrainingError: the training diverged.
    """
    require_all(pseudo_masks, rows, "pseudo mask")
    masks = pseudo_masks if corrected is None else CorrectedMasks(pseudo_masks, corrected)
    if isinstance(masks, CorrectedMasks):
        logger.info("%s", masks.summary())
    distribute(_train, section, run, rows, masks, classifier, len(rows))


def train_on_truth(
    rows: Sequence[ImageRow],
    masks: PseudoMasks,
    section: SegmenterSection,
    run: Run,
    *,
    classifier: Path | None = None,
) -> None:
    """Train a segmentation network on true masks, in as many steps as on the pseudo masks of all images.

    Args:
        rows: training images; those without a true mask are left out.
        masks: mask values (H, W) uint8 by image id, 255 where unknown.
        section, run, classifier: see `train_segmenter`.

    Raises:
        ValueError: no image has a true mask, or as for `train_segmenter`.
        TrainingError: the training diverged.
    """
    known = [row for row in rows if row.id in masks]
    if not known:
        raise ValueError(
            f"full supervision needs true masks, and none of the {len(rows)} training images has one: set "
            "`masks` of the section `dataset`, or `upper_bound: false`"
        )
    logger.info("full supervision: true masks of %d of %d images", len(known), len(rows))
    distribute(_train, section, run, known, masks, classifier, len(rows))


class TrueMasks(Mapping[str, NDArray[np.uint8]]):
    """The true masks of images by id, read from their files when they are needed."""

    def __init__(self, rows: Iterable[ImageRow]) -> None:
        self.files = {row.id: row.mask for row in rows if row.mask}

    def __getitem__(self, image_id: str) -> NDArray[np.uint8]:
        return read_mask(self.files[image_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


class CorrectedMasks(Mapping[str, NDArray[np.uint8]]):
    """Pseudo masks by image id, and in place of some the corrected ones."""

    def __init__(self, pseudo_masks: PseudoMasks, corrected: PseudoMasks) -> None:
        self.pseudo_masks, self.corrected = pseudo_masks, corrected

    def __getitem__(self, image_id: str) -> NDArray[np.uint8]:
        masks = self.corrected if image_id in self.corrected else self.pseudo_masks
        return masks[image_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.pseudo_masks)

    def __len__(self) -> int:
        return len(self.pseudo_masks)

    def summary(self) -> str:
        """Say of how many images, and how much of them, masks were corrected."""
        pixels = changed = 0
        for image_id, mask in self.corrected.items():
            pixels += mask.size
            changed += int((mask != self.pseudo_masks[image_id]).sum())
        share = f", which change {changed / pixels:.1%} of their pixels" if pixels else ""
        return f"corrected masks of {len(self.corrected)} of {len(self)} images{share}"


def _train(
    section: SegmenterSection,
    run: Run,
    rows: Sequence[ImageRow],
    masks: PseudoMasks,
    classifier: Path | None,
    stand_for: int,
) -> None:
    torch.manual_seed(run.seed)
    weights = first_weights(section, classifier)
    network = build_segmenter(section, 1 + len(run.class_names), weights)
    freeze(network, section.frozen_stages, section.batch_norm)
    run.compute.place(network)
    normalization = network.backbone.normalization
    transform = TrainTransform(settled(section.crop_size), section.scale, section.jitter, normalization)

    def read(index: int, generator: np.random.Generator) -> Sample:
        row = rows[index]
        image, mask = transform(read_image(row.image), masks[row.id], generator)
        assert mask is not None  # one went in
        return image, mask

    losses, images = SegmenterLoss(network), len(rows)
    train(network, losses, read, samples=images, section=section, run=run, stand_for=stand_for)


class SegmenterLoss(nn.Module):
    """Cross entropy averaged over the pixels whose class is known, in the batches of all processes."""

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, masks: Tensor) -> Losses:
        """Map normalised images (B, 3, H, W) and mask values (B, H, W) uint8 to the loss."""
        known = total((masks != IGNORE).sum())
        return {"loss": process_count() * masked_cross_entropy(self.network(images), masks, known)}


def masked_cross_entropy(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Sum the cross entropy over the pixels that are not 255, and divide it by a number of pixels.

    Args:
        logits: (B, C, H, W).
        masks: (B, H, W) uint8.
        known: scalar; how many pixels are not 255, in this batch or in several.

    Returns:
        A scalar, 0 where all pixels are 255.
    """
    summed = F.cross_entropy(logits, masks.long(), ignore_index=IGNORE, reduction="sum")
    return summed / known.clamp(min=1)
