"""Networks over data sets: CAMs, affinities, the random walk from one to the other, and segmentation.

Images of equal size share a batch and are decoded ahead, in threads. Results come batch by batch: all images
of one size, then those of the next. Networks are expected on the device of `Compute`, in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsss.affinity import half_plane_offsets
from wsss.artifacts import PseudoMask
from wsss.cam import background_score, combine_cams, constant_background
from wsss.config import RandomWalk
from wsss.datasets import ImageRow, read_image
from wsss.dense_crf import DenseCRF
from wsss.loading import Compute, image_batches
from wsss.networks import AffinityNet, Classifier, Normalization, Segmenter
from wsss.random_walk import propagate
from wsss.transforms import normalised, scaled, scaled_size

Output = TypeVar("Output")

STRIDE = 8
"""Pixels of AffinityNet's input per cell and side."""

LEAST_PEAK = 1e-5
"""A class whose largest walked score is below this is not raised to 1: it is nowhere."""

CPU = torch.device("cpu")

Refine = Callable[[Tensor], Tensor]
"""Function from scores (C, H, W) of an image to scores that follow its edges."""


def image_refinement(row: ImageRow, dense_crf: Mapping[str, Any], device: torch.device = CPU) -> Refine:
    """Make the function that refines scores of an image on `device`; `dense_crf` is that section."""
    image = torch.tensor(read_image(row.image), device=device)
    return DenseCRF(
        image,
        iterations=dense_crf["iterations"],
        gaussian=tuple(dense_crf["gaussian"]),
        bilateral=tuple(dense_crf["bilateral"]),
    )


@torch.inference_mode()
def classify(
    model: Classifier, rows: Iterable[ImageRow], *, compute: Compute
) -> Iterator[tuple[ImageRow, Tensor]]:
    """Yield each image with its logits (n_classes,), from one pass over the whole image."""
    for batch, images in _scaled_batches(model.backbone.normalization, rows, (1.0,), compute):
        logits = next(_passes(model, images, False, compute))[0]
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
    for batch, images in _scaled_batches(model.backbone.normalization, rows, scales, compute):
        counts = [len(row.labels) for row in batch]
        owner = torch.arange(len(batch)).repeat_interleave(torch.tensor(counts))
        labels = torch.tensor([label for row in batch for label in row.labels], dtype=torch.int64)
        passes = (
            (raw[owner, labels], mirrored) for raw, mirrored in _passes(model.cam, images, flip, compute)
        )
        size, power = (batch[0].height, batch[0].width), model.backbone.cam_exponent
        cams = combine_cams(passes, size, power=power).half().cpu()
        for row, stack in zip(batch, torch.split(cams, counts), strict=True):
            yield row.id, stack.numpy(), np.array(row.labels, np.int64)


@torch.inference_mode()
def compute_affinities(
    model: AffinityNet, rows: Iterable[ImageRow], *, input_scale: float, flip: bool, compute: Compute
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Compute the affinities of neighbouring cells (Ahn & Kwak 2018, section 3.2), before the power beta.

    Args:
        model: the AffinityNet.
        rows: the images.
        input_scale: factor on the image before the network; a cell covers 8 / input_scale of its pixels.
        flip: average the affinities of image and mirror image.
        compute: where and how.

    Yields:
        id and stencil (P, ceil(sH / 8), ceil(sW / 8)) float16 for an image of sH x sW pixels when scaled.
    """
    for batch, images in _affinitynet_batches(model, rows, input_scale, compute):
        stencils = [
            mirror_stencil(stencil, model.radius) if mirrored else stencil
            for stencil, mirrored in _passes(model, images, flip, compute)
        ]
        for row, stencil in zip(batch, average_stencils(stencils).half().cpu(), strict=True):
            yield row.id, stencil.numpy()


@torch.inference_mode()
def compute_levels(
    model: AffinityNet, rows: Iterable[ImageRow], *, input_scale: float, compute: Compute
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Compute what AffinityNet's backbone sees, as `compute_affinities` does.

    Yields:
        id and the three levels side by side, (ceil(sH / 8), ceil(sW / 8), C) float16.
    """
    for batch, images in _affinitynet_batches(model, rows, input_scale, compute):
        levels, _ = next(_passes(model.levels, images, False, compute))
        maps = torch.cat([level.half() for level in levels], dim=1).permute(0, 2, 3, 1)
        yield from ((row.id, values.numpy()) for row, values in zip(batch, maps.cpu(), strict=True))


@torch.inference_mode()
def segment(
    model: Segmenter,
    rows: Iterable[ImageRow],
    *,
    scales: Sequence[float],
    flip: bool,
    compute: Compute,
    dense_crf: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Predict masks: the class with the largest sum of probabilities over scales and mirror images.

    Args:
        model: the segmentation network.
        rows: the images.
        scales: factors on the image.
        flip: see the mirror image too.
        compute: where and how.
        dense_crf: the section `dense_crf` if it refines the probabilities.

    Yields:
        id and mask (H, W) uint8, 0 for background.
    """
    for batch, images in _scaled_batches(model.backbone.normalization, rows, scales, compute):
        size = (batch[0].height, batch[0].width)
        shares = (
            _bilinear(logits.flip(-1).softmax(1) if mirrored else logits.softmax(1), size)
            for logits, mirrored in _passes(model, images, flip, compute)
        )
        probabilities = reduce(torch.add, shares) / (len(scales) * (1 + flip))
        for row, scores in zip(batch, probabilities, strict=True):
            refined = image_refinement(row, dense_crf, scores.device)(scores) if dense_crf else scores
            mask = refined.argmax(0)
            yield row.id, mask.to(torch.uint8).cpu().numpy()


def mirror_stencil(stencil: Tensor, radius: int) -> Tensor:
    """Turn the stencil (..., P, h, w) of a mirror image into that of the image itself.

    The pair (y, x), (y + dy, x + dx) lies in the mirror image at offset (dy, -dx), which is an offset of the
    stencil too if dy > 0. If dy = 0 the mirror image has the pair with its ends swapped, dx to the right.
    """
    offsets = half_plane_offsets(radius).tolist()
    mirrored = stencil.flip(-1)
    width = stencil.shape[-1]
    result = torch.zeros_like(stencil)
    for index, (dy, dx) in enumerate(offsets):
        if dy:
            result[..., index, :, :] = mirrored[..., offsets.index([dy, -dx]), :, :]
        elif dx < width:
            result[..., index, :, : width - dx] = mirrored[..., index, :, dx:]
    return result


def average_stencils(stencils: Sequence[Tensor]) -> Tensor:
    """Average affinities (..., P, h, w) over those stencils that have the pair; 0 where none has."""
    stacked = torch.stack(list(stencils))
    return stacked.sum(0) / (stacked > 0).sum(0).clamp(min=1)


def propagate_image(
    stencil: Tensor,
    cams: Tensor,
    classes: Sequence[int],
    *,
    input_scale: float,
    walk: RandomWalk,
    refine: Refine | None = None,
) -> PseudoMask:
    """Make a pseudo mask: CAMs and a background, walked over the affinities (Ahn & Kwak 2018, section 3.3).

    Args:
        stencil: affinities (P, h, w) of `compute_affinities`.
        cams: (K, H, W) in [0, 1]; with K = 0 all is background.
        classes: the K classes, 0-based.
        input_scale: the factor with which the affinities were computed.
        walk: background, beta, t, tolerance and normalize.
        refine: function from scores (1 + K, H, W), background first, to refined ones.

    Returns:
        mask (H, W) uint8, the scores (1 + K, h, w) float16 on the grid, and what they stand for: mask values
        (1 + K,), 0 and then class + 1.
    """
    scores = to_grid(with_background(cams, walk), input_scale)
    walked = propagate(stencil.float(), scores, beta=walk.beta, t=walk.t, tolerance=walk.tolerance)
    if walk.normalize:
        walked[1:] /= walked[1:].amax((1, 2), keepdim=True).clamp(min=LEAST_PEAK)
    values = np.array([0, *(label + 1 for label in classes)], np.int64)
    fine = from_grid(walked, cams.shape[-2:], input_scale)
    winner = (refine(fine) if refine else fine).argmax(0).cpu().numpy()
    return PseudoMask(values.astype(np.uint8)[winner], walked.half().cpu().numpy(), values)


def with_background(cams: Tensor, walk: RandomWalk) -> Tensor:
    """Put the background's scores before the CAMs: (K, H, W) → (1 + K, H, W) float32."""
    if walk.background == "power":
        background = background_score(cams, walk.alpha)
    else:
        background = constant_background(cams, walk.constant)
    return torch.cat([background[None], cams.to(background.dtype)])


def to_grid(scores: Tensor, input_scale: float) -> Tensor:
    """Average scores (C, H, W) over AffinityNet's cells, at the border over the pixels inside: (C, h, w)."""
    resized = _bilinear(scores[None], scaled_size(scores.shape[-2:], input_scale))
    return F.avg_pool2d(resized, STRIDE, ceil_mode=True)[0]


def from_grid(scores: Tensor, size: Sequence[int], input_scale: float) -> Tensor:
    """Bring scores (C, h, w) bilinearly from AffinityNet's cells to the image: (C, H, W), ``size`` (H, W)."""
    height, width = scaled_size(size, input_scale)
    fine = F.interpolate(scores[None], scale_factor=STRIDE, mode="bilinear", align_corners=False)
    return _bilinear(fine[..., :height, :width], size)[0]


def _scaled_batches(
    normalization: Normalization, rows: Iterable[ImageRow], scales: Sequence[float], compute: Compute
) -> Iterator[tuple[list[ImageRow], tuple[Tensor, ...]]]:
    """Yield batches of images of equal size, each at every scale."""

    def load(row: ImageRow) -> tuple[Tensor, ...]:
        image = read_image(row.image)
        return tuple(normalised(scaled(image, scale), normalization) for scale in scales)

    return image_batches(load, rows, compute, max(scales))


def _affinitynet_batches(
    model: AffinityNet, rows: Iterable[ImageRow], input_scale: float, compute: Compute
) -> Iterator[tuple[list[ImageRow], tuple[Tensor, ...]]]:
    """Yield batches of images of equal size, scaled and padded right and bottom with the mean colour.

    Padded to whole cells, so that the mirror image's grid is the mirrored grid.
    """
    for batch, (images,) in _scaled_batches(model.backbone.normalization, rows, (input_scale,), compute):
        height, width = images.shape[-2:]
        yield batch, (F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE)),)


def _passes(
    network: Callable[[Tensor], Output], images: Iterable[Tensor], flip: bool, compute: Compute
) -> Iterator[tuple[Output, bool]]:
    """Yield the network's output for each batch, and for its mirror image, and whether it was mirrored."""
    for image in images:
        image = compute.put(image)
        for mirrored in (False, True)[: 1 + flip]:
            with compute.autocast():
                result = network(image.flip(-1) if mirrored else image)
            yield result, mirrored


def _bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)
