"""Boundaries as IRNet sees them in images, and the affinities that they give (Ahn, Cho & Kwak 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, Manifest
from wsss.method.affinity import boundary_stencil
from wsss.models.irnet import IRNet, restore_irnet
from wsss.results import AffinityGrid
from wsss.runtime.compute import Compute
from wsss.stages.affinities import AffinitiesJob, ComputedAffinities
from wsss.stages.features import FeatureFolder, kept_for
from wsss.stages.inference.features import padded_batches
from wsss.stages.inference.passes import passes
from wsss.study.config import IrnAffinities
from wsss.study.config.fields import settled

FACTS = {"network": "irnet"}


def compute(affinities: IrnAffinities, images: Manifest, job: AffinitiesJob) -> ComputedAffinities:
    """Compute affinities with the IRNet whose checkpoint, an input of the job, says on which grid."""
    trained = restore_irnet(job.input.checkpoint)
    model, input_scale = job.compute.place(trained.network), settled(trained.section.input_scale)
    grid = AffinityGrid(affinities.radius, input_scale, model.border)
    kept = kept_for(job.input.images, model, trained.section, job.compute)
    if kept and not affinities.flip:
        items = affinities_of_features(model, images.rows, grid, kept)
    else:
        items = compute_affinities(model, images.rows, grid, flip=affinities.flip, compute=job.compute)
    return ComputedAffinities(grid, items)


def affinities_of_features(
    model: IRNet, rows: Sequence[ImageRow], grid: AffinityGrid, kept: FeatureFolder
) -> Iterator[tuple[str, NDArray[np.float16], NDArray[np.float16]]]:
    """Compute affinities as `compute_affinities` does, from features, as the network has learned."""
    for image_id, logits in kept.seen_by(model.boundary_logits, rows):
        boundary = logits.sigmoid()
        stencil = boundary_stencil(boundary, grid.radius)
        yield image_id, stencil.half().cpu().numpy(), boundary.half().cpu().numpy()


@torch.inference_mode()
def compute_affinities(
    model: IRNet, rows: Iterable[ImageRow], grid: AffinityGrid, *, flip: bool, compute: Compute
) -> Iterator[tuple[str, NDArray[np.float16], NDArray[np.float16]]]:
    """Compute the boundaries of images, and affinities from them as `boundary_stencil` does.

    Args:
        model: the IRNet.
        rows: the images.
        grid: radius of the pairs, and factor on the image before the network.
        flip: average the logits of image and mirror image, before the sigmoid.
        compute: where and how.

    Yields:
        id, stencil (P, h, w) float16 before the power beta, and boundary (h, w) float16 in [0, 1], for an
        image of sH x sW pixels when scaled: h = ceil(sH / 8), w = ceil(sW / 8).
    """
    for batch, images in padded_batches(model, rows, grid.input_scale, compute):
        boundaries = _boundaries(model, images, flip, compute)
        stencils = boundary_stencil(boundaries, grid.radius).half().cpu()
        kept = boundaries.half().cpu()
        for row, stencil, boundary in zip(batch, stencils, kept, strict=True):
            yield row.id, stencil.numpy(), boundary.numpy()


def _boundaries(model: IRNet, images: Sequence[Tensor], flip: bool, compute: Compute) -> Tensor:
    """Map padded images (B, 3, H, W), a batch alone, to boundaries (B, h, w) float32 in [0, 1]."""
    logits = [
        values.flip(-1) if mirrored else values for values, mirrored in passes(model, images, flip, compute)
    ]
    return torch.stack(logits).mean(0).sigmoid()
