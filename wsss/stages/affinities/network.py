"""Affinities of neighbouring cells as AffinityNet sees them in images (Ahn & Kwak 2018, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, Manifest
from wsss.method.affinity import half_plane_offsets
from wsss.models.affinitynet import AffinityNet, restore_affinitynet
from wsss.results import AffinityGrid
from wsss.runtime.compute import Compute
from wsss.stages.affinities import AffinitiesJob, ComputedAffinities
from wsss.stages.features import FeatureFolder, kept_for
from wsss.stages.inference.features import padded, padded_batches
from wsss.stages.inference.passes import at_scales, passes
from wsss.study.config import NetworkAffinities
from wsss.study.config.fields import settled

FACTS = {"network": "affinitynet"}


def compute(affinities: NetworkAffinities, images: Manifest, job: AffinitiesJob) -> ComputedAffinities:
    """Compute affinities with the AffinityNet whose checkpoint, an input of the job, says on which grid."""
    trained = restore_affinitynet(job.input.checkpoint)
    model, input_scale = job.compute.place(trained.network), settled(trained.section.input_scale)
    kept = kept_for(job.input.images, model, trained.section, job.compute)
    if kept and not affinities.flip:
        items = affinities_of_features(model, images.rows, kept)
    else:
        items = compute_affinities(
            model, images.rows, input_scale=input_scale, flip=affinities.flip, compute=job.compute
        )
    return ComputedAffinities(AffinityGrid(model.radius, input_scale, model.border), items)


def affinities_of_features(
    model: AffinityNet, rows: Sequence[ImageRow], kept: FeatureFolder
) -> Iterator[tuple[str, NDArray[np.float16]]]:
    """Compute affinities as `compute_affinities` does, from features, as the network has learned."""
    seen = kept.seen_by(lambda features: model.stencil(model.affinity_features(features)), rows)
    return ((image_id, stencil.half().cpu().numpy()) for image_id, stencil in seen)


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
    for batch, images in padded_batches(model, rows, input_scale, compute):
        for row, stencil in zip(batch, _stencils(model, images, flip, compute), strict=True):
            yield row.id, stencil.numpy()


@torch.inference_mode()
def image_affinities(
    model: AffinityNet, image: NDArray[np.uint8], *, input_scale: float, flip: bool, compute: Compute
) -> Tensor:
    """Compute the stencil (P, h, w) float16 of an image (H, W, 3) uint8 as `compute_affinities` does."""
    (resized,) = at_scales(image, model.backbone.normalization, (input_scale,))
    return _stencils(model, (padded(resized[None]),), flip, compute)[0]


def _stencils(model: AffinityNet, images: Sequence[Tensor], flip: bool, compute: Compute) -> Tensor:
    """Map padded images (B, 3, H, W), a batch alone, to stencils (B, P, h, w) float16 on the CPU."""
    stencils = [
        mirror_stencil(stencil, model.radius) if mirrored else stencil
        for stencil, mirrored in passes(model, images, flip, compute)
    ]
    return average_stencils(stencils).half().cpu()


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
