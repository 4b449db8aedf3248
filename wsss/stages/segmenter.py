"""Training the segmentation network on pseudo masks (Ahn & Kwak 2018, section 3.4), or on true ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsss.data import ImageRow, read_mask
from wsss.data.transforms import TrainTransform
from wsss.method.labels import IGNORE
from wsss.method.margins import MARGIN_OF_ONE
from wsss.method.metrics import confusion_matrix, mean_iou
from wsss.method.noisy_labels import bootstrapped_cross_entropy, cross_entropy, symmetric_cross_entropy
from wsss.models.backbone import resize
from wsss.models.parameters import freeze
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.runtime.compute import Compute
from wsss.runtime.console import progress
from wsss.runtime.processes import process_count, total
from wsss.stages.inference.passes import passes, scaled_batches
from wsss.stages.training.loop import Losses
from wsss.stages.training.run import Run, distribute, first_weights, require_all, train
from wsss.stages.training.sampling import Sample
from wsss.stages.training.selection import Selection, held_out
from wsss.study.config import Loss
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
) -> None:
    """Train a segmentation network on pseudo masks and write its checkpoint.

    Args:
        rows: training images.
        pseudo_masks: mask values (H, W) uint8 by image id, 255 where unknown; picklable if several processes
            train.
        section: the section ``segmenter``.
        run: where to write, the classes, and how to compute.
        classifier: checkpoint that ``weights: classifier`` means.

    Raises:
        ValueError: no images, images without pseudo mask, a batch that the processes cannot share, or weights
            that cannot be had or do not fit.
        TrainingError: the training diverged.
    """
    require_all(pseudo_masks, rows, "pseudo mask")
    distribute(_train, section, run, rows, pseudo_masks, classifier, len(rows))


def learned_masks(
    pseudo_masks: PseudoMasks,
    margins: PseudoMasks,
    corrected: PseudoMasks | None,
    section: SegmenterSection,
    others: PseudoMasks,
) -> PseudoMasks:
    """Return what is learned of pseudo masks: what is sure of them, and corrected masks in place of some.

    Args:
        pseudo_masks: mask values (H, W) uint8 by image id.
        margins: how far the first class of each pixel leads, likewise, see `wsss.method.margins`; read where
            ``least_margin`` is above 0.
        corrected: masks that take the place of pseudo masks, likewise.
        section: the section ``segmenter``.
        others: other pseudo masks, likewise, such as those of the round before; read where ``agreed_with``
            names them.

    Raises:
        ValueError: images without margins, or without another mask.
    """
    sure = pseudo_masks
    if section.least_margin:
        if missing := [image_id for image_id in pseudo_masks if image_id not in margins]:
            raise ValueError(f"{len(missing)} pseudo masks have no margins, the first is {missing[0]!r}")
        sure = SureMasks(pseudo_masks, margins, section.least_margin)
    if section.agreed_with:
        if missing := [image_id for image_id in pseudo_masks if image_id not in others]:
            raise ValueError(
                f"segmenter.agreed_with: {section.agreed_with}: {len(missing)} images have no mask there, "
                f"the first is {missing[0]!r}"
            )
        sure = AgreedMasks(sure, others)
    if corrected is None:
        return sure
    logger.info("%s", CorrectedMasks(pseudo_masks, corrected).summary())
    return CorrectedMasks(sure, corrected)


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


class ChangedMasks(Mapping[str, NDArray[np.uint8]]):
    """Masks in place of pseudo masks, of the same images."""

    def __init__(self, pseudo_masks: PseudoMasks) -> None:
        self.pseudo_masks = pseudo_masks

    def __iter__(self) -> Iterator[str]:
        return iter(self.pseudo_masks)

    def __len__(self) -> int:
        return len(self.pseudo_masks)


class SureMasks(ChangedMasks):
    """Pseudo masks by image id, 255 where two classes come too close.

    Args:
        pseudo_masks: mask values (H, W) uint8.
        margins: of the same images, see `wsss.method.margins`.
        least: in [0, 1]; pixels of a smaller margin are unknown.
    """

    def __init__(self, pseudo_masks: PseudoMasks, margins: PseudoMasks, least: float) -> None:
        super().__init__(pseudo_masks)
        self.margins, self.least = margins, least

    def __getitem__(self, image_id: str) -> NDArray[np.uint8]:
        unsure = self.margins[image_id] < self.least * MARGIN_OF_ONE
        return np.where(unsure, np.uint8(IGNORE), self.pseudo_masks[image_id])


class AgreedMasks(ChangedMasks):
    """Pseudo masks by image id, 255 where others have another class.

    Masks of two rounds go wrong in different places, so that what both say is more often right.

    Args:
        pseudo_masks: mask values (H, W) uint8.
        others: of the same images, likewise.
    """

    def __init__(self, pseudo_masks: PseudoMasks, others: PseudoMasks) -> None:
        super().__init__(pseudo_masks)
        self.others = others

    def __getitem__(self, image_id: str) -> NDArray[np.uint8]:
        mask, other = self.pseudo_masks[image_id], self.others[image_id]
        if mask.shape != other.shape:
            raise ValueError(f"{image_id}: its masks have {mask.shape} and {other.shape} pixels")
        return np.where(mask == other, mask, np.uint8(IGNORE))


class CorrectedMasks(ChangedMasks):
    """Pseudo masks by image id, and in place of some the corrected ones."""

    def __init__(self, pseudo_masks: PseudoMasks, corrected: PseudoMasks) -> None:
        super().__init__(pseudo_masks)
        self.corrected = corrected

    def __getitem__(self, image_id: str) -> NDArray[np.uint8]:
        masks = self.corrected if image_id in self.corrected else self.pseudo_masks
        return masks[image_id]

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

    learned, compared = held_out(rows, section.selection.held_out) if section.selection.of > 1 else (rows, [])

    def read(index: int, generator: np.random.Generator) -> Sample:
        row = learned[index]
        image, mask = transform(row.photograph(), masks[row.id], generator)
        assert mask is not None  # one went in
        return image, mask

    shown = progress((masks[row.id] for row in learned), len(learned), label="counting pixels")
    of_classes = class_weights(shown, 1 + len(run.class_names), section.balance)
    losses = SegmenterLoss(network, section.loss, of_classes)
    selection = Selection(
        section.selection.of,
        lambda: likeness(network, compared, masks, run.compute),
        f"mIoU with the masks of {len(compared)} images held out",
    )
    train(
        network,
        losses,
        read,
        samples=len(learned),
        section=section,
        run=run,
        stand_for=stand_for,
        selection=selection if compared else None,
    )


@torch.inference_mode()
def likeness(network: Segmenter, rows: Sequence[ImageRow], masks: PseudoMasks, compute: Compute) -> float:
    """Predict images in their own size, and return the mIoU with masks; 0 where these know no pixel.

    Args:
        network: to be judged; it is in evaluation mode afterwards.
        rows: the images.
        masks: mask values (H, W) uint8 by image id, 255 where unknown.
        compute: where and how.
    """
    network.eval()
    confusion: Tensor | None = None
    for batch, images in scaled_batches(network.backbone.normalization, rows, (1.0,), compute):
        for logits, _ in passes(network, images, False, compute):
            for row, scores in zip(batch, logits, strict=True):
                mask = torch.from_numpy(np.asarray(masks[row.id]))
                counts = confusion_matrix(scores.argmax(0).cpu(), mask, len(scores))
                confusion = counts if confusion is None else confusion + counts
    return 0.0 if confusion is None else float(mean_iou(confusion).nan_to_num(0.0))


class SegmenterLoss(nn.Module):
    """The loss of a section, averaged over the pixels of a known class, in the batches of all processes."""

    weights: Tensor

    def __init__(self, network: Segmenter, loss: Loss, weights: Tensor) -> None:
        """Take the weight of each class, (C,) float32, background first."""
        super().__init__()
        self.network, self.loss = network, loss
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, images: Tensor, masks: Tensor) -> Losses:
        """Map normalised images (B, 3, H, W) and mask values (B, H, W) uint8 to the loss."""
        logits, weights = self.network.coarse(images), self._weights_of(masks)
        # On a CPU image by image, so that the logits of all classes and pixels stay in its cache.
        parts = 1 if logits.device.type == "cpu" else len(logits)
        losses = torch.cat(
            [
                pixel_losses(resize(some.contiguous(), masks.shape[-2:]), of_them, self.loss)
                for some, of_them in zip(logits.split(parts), masks.split(parts), strict=True)
            ]
        )
        whole = total(weights.sum()).clamp(min=torch.finfo(weights.dtype).tiny)
        return {"loss": process_count() * (losses * weights).sum() / whole}

    def _weights_of(self, masks: Tensor) -> Tensor:
        """Look up the weight of each pixel: that of its class, 0 where it is unknown."""
        known = masks != IGNORE
        return self.weights[torch.where(known, masks, 0).long()] * known


def pixel_losses(logits: Tensor, masks: Tensor, loss: Loss) -> Tensor:
    """The loss of each pixel (B, H, W), 0 where the mask is 255, of logits (B, C, H, W)."""
    if loss.kind == "symmetric":
        return symmetric_cross_entropy(logits, masks, loss.forward, loss.reverse)
    if loss.kind == "bootstrapped":
        return bootstrapped_cross_entropy(logits, masks, loss.mask, loss.target)
    return cross_entropy(logits, masks)


def class_weights(masks: Iterable[NDArray[np.uint8]], n_values: int, balance: float) -> Tensor:
    """Weigh classes by their share of the pixels to the power -balance, so that a pixel weighs 1 on average.

    Args:
        masks: mask values, 255 where unknown.
        n_values: number of classes, background included.
        balance: 0: all weigh 1; 1: all classes together weigh the same.

    Returns:
        (n_values,) float32; 1 for a class that has no pixel.
    """
    if not balance:
        return torch.ones(n_values)
    counts = sum((np.bincount(mask.reshape(-1), minlength=256) for mask in masks), np.zeros(256, np.int64))
    shares = counts[:n_values] / max(1, counts[:n_values].sum())
    weights = np.where(shares > 0, np.maximum(shares, np.finfo(np.float64).tiny) ** -balance, 0)
    weights /= max((weights * shares).sum(), np.finfo(np.float64).tiny)
    return torch.tensor(np.where(shares > 0, weights, 1), dtype=torch.float32)
