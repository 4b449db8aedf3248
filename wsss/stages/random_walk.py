"""From CAMs and affinities to pseudo masks (Ahn & Kwak 2018, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.data.loading import in_threads
from wsss.method.cam import background_score, constant_background, peaks_to_one, with_background
from wsss.method.grid import from_grid, to_grid
from wsss.method.labels import BACKGROUND
from wsss.method.margins import margin_of
from wsss.method.random_walk import propagate
from wsss.results import Affinities, AffinityGrid, Cams
from wsss.stages.inference.refinement import Refine, image_refinement
from wsss.study.config import ConstantBackground, DenseCrf, PowerBackground, RandomWalk
from wsss.study.config.fields import settled


class PseudoMask(NamedTuple):
    """A pseudo mask (H, W) uint8 of mask values, and how far the class of each pixel leads, likewise."""

    image_id: str
    mask: NDArray[np.uint8]
    margin: NDArray[np.uint8]


def propagate_images(
    rows: Iterable[ImageRow],
    cams: Mapping[str, Cams],
    affinities: Affinities,
    walk: RandomWalk,
    dense_crf: DenseCrf | None = None,
    *,
    device: torch.device,
    threads: int = 1,
) -> Iterator[PseudoMask]:
    """Make the pseudo masks of images, several images at once.

    Args:
        rows: the images.
        cams: by image id.
        affinities: of the same images, and the grid on which they were computed.
        walk: background, beta, t, tolerance, padding and normalisation.
        dense_crf: refines the walked scores, if given.
        device: on which to compute.
        threads: the most images at once.

    Yields:
        id, mask and margin, in the order of the images; see `propagate_image` and `wsss.method.margins`.
    """
    input_scale = AffinityGrid.of(affinities).input_scale

    def propagate_row(row: ImageRow) -> PseudoMask:
        seeds, class_values = cams[row.id]
        boundary = affinities.boundary(row.id)
        scores = propagate_scores(
            torch.from_numpy(affinities[row.id]).to(device),
            torch.from_numpy(seeds).to(device),
            input_scale=input_scale,
            walk=walk,
            boundary=None if boundary is None else torch.from_numpy(boundary).to(device),
            refine=image_refinement(row, dense_crf, device) if dense_crf else None,
        )
        return PseudoMask(row.id, mask_of(scores, class_values), margin_of(scores).cpu().numpy())

    return in_threads(propagate_row, rows, threads)


def propagate_image(
    stencil: Tensor,
    cams: Tensor,
    class_values: NDArray[np.int64],
    *,
    input_scale: float,
    walk: RandomWalk,
    boundary: Tensor | None = None,
    refine: Refine | None = None,
) -> NDArray[np.uint8]:
    """Make a pseudo mask: CAMs and a background, walked over the affinities, and the strongest at each pixel.

    Args:
        stencil: affinities (P, h, w) before the power beta.
        cams: (K, H, W) in [0, 1]; with K = 0 all is background.
        class_values: (K,) mask values of the maps.
        input_scale: the factor with which the affinities were computed.
        walk: background, beta, t, tolerance, padding, normalisation; its `refine` is the caller's business.
        boundary: see `walk_scores`.
        refine: function from scores (1 + K, H, W), background first, to refined ones.

    Returns:
        (H, W) uint8 mask values.
    """
    scores = propagate_scores(
        stencil, cams, input_scale=input_scale, walk=walk, boundary=boundary, refine=refine
    )
    return mask_of(scores, class_values)


def propagate_scores(
    stencil: Tensor,
    cams: Tensor,
    *,
    input_scale: float,
    walk: RandomWalk,
    boundary: Tensor | None = None,
    refine: Refine | None = None,
) -> Tensor:
    """Walk CAMs and a background over the affinities, up to the image's own size.

    See `propagate_image` for the arguments.

    Returns:
        (1 + K, H, W) float32, background first.
    """
    walked = walk_scores(stencil, cams, input_scale=input_scale, walk=walk, boundary=boundary)
    fine = from_grid(walked, cams.shape[-2:], input_scale)
    if walk.normalize != "none" and walk.normalize_on == "pixels":
        fine[1:] = peaks_to_one(fine[1:], walk.normalize)
    if walk.background.kind == "constant" and walk.padding == "none":
        fine[0] = settled(walk.background.score)  # to the last digit, which resizing may round
    return refine(fine) if refine else fine


def mask_of(scores: Tensor, class_values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Take the strongest of scores (1 + K, H, W), background first, as mask values (H, W) uint8."""
    mask: NDArray[np.uint8] = np.array([BACKGROUND, *class_values], np.uint8)[scores.argmax(0).cpu().numpy()]
    return mask


def walk_scores(
    stencil: Tensor, cams: Tensor, *, input_scale: float, walk: RandomWalk, boundary: Tensor | None = None
) -> Tensor:
    """Walk CAMs and their background over the affinities.

    Args:
        stencil, cams, input_scale, walk: see `propagate_image`.
        boundary: (h, w) in [0, 1], if the affinities come from one: classes start with that much less there,
            as in IRN (Ahn, Cho & Kwak 2019).

    Returns:
        (1 + K, h, w) float32 on the grid of the affinities, background first, normalised if `walk` says so
        of cells.
    """
    over = with_background(cams, background_of(cams, walk.background))
    scores = to_grid(over, input_scale, walk.padding)
    if boundary is not None:
        scores[1:] *= 1 - boundary.to(scores.dtype)
    walked = propagate(
        stencil.float(), scores, beta=settled(walk.beta), t=settled(walk.t), tolerance=walk.tolerance
    )
    if walk.normalize != "none" and walk.normalize_on == "cells":
        walked[1:] = peaks_to_one(walked[1:], walk.normalize)
    return walked


def background_of(cams: Tensor, background: PowerBackground | ConstantBackground) -> Tensor:
    """Score the background of CAMs (K, H, W) by the rule of a study: (H, W) float32."""
    if background.kind == "power":
        return background_score(cams, settled(background.alpha))
    return constant_background(cams, settled(background.score))
