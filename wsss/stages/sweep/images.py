"""All points of a sweep that share beta, on one image.

They are the masks of `propagate_image`, pixel for pixel; but the classes are walked and
brought to the image once for all backgrounds, a walk gives all t, and constant backgrounds need no walk
unless they are padded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.method.cam import background_score, constant_background, peaks_to_one
from wsss.method.grid import from_grid, to_grid
from wsss.method.random_walk import propagate
from wsss.stages.sweep.counting import Counts, Floats, count_winners, winning_slots
from wsss.stages.sweep.pixels import Pixels
from wsss.stages.sweep.points import Grid
from wsss.study.options import ScoreNormalization


def sweep_image(
    stencil: Tensor,
    cams: Tensor,
    known: Pixels,
    boundary: NDArray[np.float16] | None = None,
    *,
    input_scale: float,
    grid: Grid,
) -> Counts:
    """Count an image's pixels at all points of one beta: arrays with the axes of `grid.shape` first.

    Args:
        stencil: affinities (P, h, w) before the power beta.
        cams: (K, H, W) in [0, 1].
        known: the pixels of the image.
        boundary: (h, w) that the affinities come from, if any, see `propagate_image`.
        input_scale: the factor with which the affinities were computed.
        grid: what is tried.
    """
    cams = cams.float()
    backgrounds = _backgrounds(cams, grid)
    before = winning_slots(_flat(cams), backgrounds)
    found = [
        count_winners(classes, walked, before, known)
        for classes, walked in _walks(stencil, cams, backgrounds, input_scale, grid, boundary)
    ]
    stacks = (np.stack(part) for part in zip(*found, strict=True))
    return Counts(*(stack.reshape(*grid.shape, *stack.shape[2:]) for stack in stacks))


def _backgrounds(cams: Tensor, grid: Grid) -> Floats:
    """Score the backgrounds of the CAMs, powers before constants: (B, H · W)."""
    powers = [background_score(cams, alpha) for alpha in grid.alphas]
    constants = [constant_background(cams, constant) for constant in grid.constants]
    return _flat(torch.stack(powers + constants))


def _walks(
    stencil: Tensor,
    cams: Tensor,
    backgrounds: Floats,
    input_scale: float,
    grid: Grid,
    boundary: NDArray[np.float16] | None,
) -> Iterator[tuple[Floats, Floats]]:
    """Yield classes (K, H · W) and backgrounds (B, H · W) for each t and normalisation.

    Constant backgrounds are those of the CAMs: each row of T sums to one. Padded with zeros they are no
    longer constant, and walk as well.
    """
    size, walking = cams.shape[-2:], len(backgrounds) if grid.padding == "zeros" else len(grid.alphas)
    scores = torch.cat([torch.from_numpy(backgrounds[:walking]).view(-1, *size), cams])
    cells = to_grid(scores, input_scale, grid.padding)
    if boundary is not None:
        cells[walking:] *= 1 - torch.from_numpy(boundary).float()
    for walked in propagate(stencil.float(), cells, beta=grid.beta, t=grid.ts, tolerance=grid.tolerance):
        under, *normalized = _on_pixels(walked[:walking], walked[walking:], size, input_scale, grid)
        over = np.concatenate([under, backgrounds[walking:]])
        for classes in normalized:
            yield classes, over


def _on_pixels(
    under: Tensor, classes: Tensor, size: Sequence[int], input_scale: float, grid: Grid
) -> list[Floats]:
    """Bring walked backgrounds to the image, and after them the classes under each normalisation."""

    def scaled(scores: Tensor, of: ScoreNormalization) -> Tensor:
        return scores if of == "none" else peaks_to_one(scores, of)

    if grid.normalize_on == "pixels":
        fine = from_grid(torch.cat([under, classes]), size, input_scale)
        stacks = [fine[: len(under)], *(scaled(fine[len(under) :], of) for of in grid.normalize)]
    else:
        stacks = [under, *(scaled(classes, of) for of in grid.normalize)]
        fine = from_grid(torch.cat(stacks), size, input_scale)
        stacks = list(fine.split([len(stack) for stack in stacks]))
    return [_flat(stack) for stack in stacks]


def _flat(maps: Tensor) -> Floats:
    """Lay the pixels of maps (C, H, W) in a row: (C, H · W)."""
    flat: Floats = maps.reshape(len(maps), -1 if maps.numel() else maps.shape[-2:].numel()).numpy()
    return flat
