"""All points of a sweep that share beta, on one image.

They are the masks of `wsss.inference.propagate_image`, pixel for pixel; but the classes are walked and
brought to the image once for all backgrounds, a walk gives all t, and constant backgrounds need no walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.cam import background_score
from wsss.datasets import ImageRow, Manifest, read_mask
from wsss.inference import from_grid, peaks_to_one, to_grid
from wsss.labels import IGNORE
from wsss.random_walk import propagate
from wsss.sweep.counting import Floats, count_winners, winning_slots
from wsss.sweep.points import Grid


class Counts(NamedTuple):
    """Pixels of one image by winner and context at all points of one beta.

    Attributes:
        pixels: (T, 2, B, K + 1, X), winner 0 is the background, 1 … K are the image's classes.
        changed: (T, 2, B), pixels that the CAMs with the same background would give to another class.
        contexts: (X, 2), the true value and the confident label of a context.
    """

    pixels: NDArray[np.int64]
    changed: NDArray[np.int64]
    contexts: NDArray[np.int64]


def sweep_image(
    stencil: Tensor,
    cams: Tensor,
    truth: NDArray[np.uint8],
    confident: NDArray[np.uint8],
    *,
    input_scale: float,
    grid: Grid,
) -> Counts:
    """Count an image's pixels at all points of one beta.

    Args:
        stencil: affinities (P, h, w) of `compute_affinities`.
        cams: (K, H, W) in [0, 1].
        truth: (H, W), the true values.
        confident: (H, W), the confident labels.
        input_scale: the factor with which the affinities were computed.
        grid: what is tried.
    """
    cams = cams.float()
    backgrounds = _backgrounds(cams, grid)
    before = winning_slots(_flat(cams), backgrounds)
    labels, contexts = _contexts(truth, confident)
    found = [
        count_winners(classes, walked, before, labels, len(contexts))
        for classes, walked in _walks(stencil, cams, backgrounds, input_scale, grid)
    ]
    pixels, changed = (np.stack(part) for part in zip(*found, strict=True))
    return Counts(
        pixels.reshape(*grid.shape, *pixels.shape[2:]), changed.reshape(grid.shape), contexts.astype(np.int64)
    )


def swept_rows(manifest: Manifest, shard: Manifest) -> list[ImageRow]:
    """List the images of a shard that the study scores, or all of them where it has no true mask at all.

    Args:
        manifest: the whole data set, with its masks.
        shard: some of the images of train.
    """
    scored = {row.id: row for row in manifest.split("train") if row.mask and row.scored}
    return [scored[row.id] for row in shard if row.id in scored] if scored else list(shard)


def true_labels(row: ImageRow) -> NDArray[np.uint8]:
    """Read an image's true mask (H, W); without one all of it is unknown."""
    return read_mask(row.mask) if row.mask else np.full((row.height, row.width), IGNORE, np.uint8)


def _backgrounds(cams: Tensor, grid: Grid) -> Floats:
    """Score the backgrounds of the CAMs, powers before constants: (B, H · W)."""
    powers = [background_score(cams, alpha) for alpha in grid.alphas]
    constants = [torch.full(cams.shape[-2:], constant) for constant in grid.constants]
    return _flat(torch.stack(powers + constants))


def _walks(
    stencil: Tensor, cams: Tensor, backgrounds: Floats, input_scale: float, grid: Grid
) -> Iterator[tuple[Floats, Floats]]:
    """Yield classes (K, H · W) and backgrounds (B, H · W) for each t, without and with normalisation.

    Constant backgrounds are those of the CAMs: each row of T sums to one.
    """
    powers, size = len(grid.alphas), cams.shape[-2:]
    scores = torch.cat([torch.from_numpy(backgrounds[:powers]).view(-1, *size), cams])
    cells = to_grid(scores, input_scale)
    for walked in propagate(stencil.float(), cells, beta=grid.beta, t=grid.ts, tolerance=grid.tolerance):
        stack = torch.cat([walked, peaks_to_one(walked[powers:])])
        fine = _flat(from_grid(stack, size, input_scale))
        over = np.concatenate([fine[:powers], backgrounds[powers:]])
        yield fine[powers : powers + len(cams)], over
        yield fine[powers + len(cams) :], over


def _contexts(
    truth: NDArray[np.uint8], confident: NDArray[np.uint8]
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Number the pairs of true value and confident label that occur: each pixel's number, and the pairs."""
    pairs = truth.astype(np.uint16) << 8 | confident
    present = np.flatnonzero(np.bincount(pairs.ravel(), minlength=2**16))
    number = np.zeros(2**16, np.uint16)
    number[present] = np.arange(len(present))
    return number[pairs.ravel()], np.stack([present >> 8, present & 255], 1).astype(np.uint16)


def _flat(maps: Tensor) -> Floats:
    """Lay the pixels of maps (C, H, W) in a row: (C, H · W)."""
    flat: Floats = maps.reshape(len(maps), -1 if maps.numel() else maps.shape[-2:].numel()).numpy()
    return flat
