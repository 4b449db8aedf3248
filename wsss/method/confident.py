"""Confident regions of CAMs, the labels that AffinityNet learns from (Ahn & Kwak 2018, section 3.2.1).

A weak background (a large alpha) leaves as background only what surely is, a strong one (a small alpha)
leaves as foreground only what surely is; pixels between the two stay undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsss.method.cam import background_score, constant_background, with_background
from wsss.method.labels import BACKGROUND, IGNORE


def confident_labels(
    cams: Tensor,
    class_values: Sequence[int] | NDArray[np.int64] | Tensor,
    *,
    low_alpha: float,
    high_alpha: float,
    refine: Callable[[Tensor], Tensor] | None = None,
    pool: int = 1,
) -> Tensor:
    """Label the pixels whose class is certain: background, a class, or 255 where undecided.

    Foreground is where a class wins against the background of `low_alpha`, background is where no class wins
    against that of `high_alpha`; where a `refine` makes the two disagree, background stands.

    Args:
        cams: (K, H, W) in [0, 1]; with K = 0 every pixel is background.
        class_values: the mask values of the K maps, in 1..254.
        low_alpha: exponent of the strong background, 4 in the paper.
        high_alpha: exponent of the weak background, 24 in the paper.
        refine: function from scores (1 + K, H, W), background first, to refined scores, e.g. a dCRF on the
            image.
        pool: side of the cells, in pixels, that are labelled as one by their mean scores. 8 is the published
            order, which labels stride-8 cells; 1 labels each pixel, and `grid_labels` lets them vote.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: `class_values` do not fit `cams` or are no mask values, or low_alpha exceeds high_alpha.

    Examples:
        Sure background, undecided, and sure foreground of the mask value 7:

        >>> import torch, wsss
        >>> cams = torch.tensor([[[0.02, 0.3, 0.9]]])
        >>> wsss.confident_labels(cams, [7], low_alpha=1.2, high_alpha=6).tolist()
        [[0, 255, 7]]
    """
    if low_alpha > high_alpha:
        raise ValueError(f"confident_labels: low_alpha {low_alpha} exceeds high_alpha {high_alpha}")
    strong, weak = background_score(cams, low_alpha), background_score(cams, high_alpha)
    return _between(cams, class_values, strong, weak, refine, pool)


def threshold_labels(
    cams: Tensor,
    class_values: Sequence[int] | NDArray[np.int64] | Tensor,
    *,
    foreground: float,
    background: float,
    refine: Callable[[Tensor], Tensor] | None = None,
    pool: int = 1,
) -> Tensor:
    """Do as `confident_labels` with constant background scores instead of powers, as IRN does.

    Args:
        cams, class_values, refine, pool: see `confident_labels`.
        foreground: score of the strong background, which a class must beat; 0.30 in IRN.
        background: score of the weak background, which no class may reach; 0.05 in IRN.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: `class_values` do not fit `cams` or are no mask values, or background exceeds foreground.

    """
    if background > foreground:
        raise ValueError(f"threshold_labels: background {background} exceeds foreground {foreground}")
    strong, weak = constant_background(cams, foreground), constant_background(cams, background)
    return _between(cams, class_values, strong, weak, refine, pool)


def _between(
    cams: Tensor,
    class_values: Sequence[int] | NDArray[np.int64] | Tensor,
    strong: Tensor,
    weak: Tensor,
    refine: Callable[[Tensor], Tensor] | None,
    pool: int,
) -> Tensor:
    """Label what a strong and a weak background (H, W) agree on."""
    values = torch.as_tensor(class_values, dtype=torch.int64, device=cams.device)
    if len(values) != len(cams) or not ((values > BACKGROUND) & (values < IGNORE)).all():
        raise ValueError(
            f"confident_labels: expected {len(cams)} mask values in 1..254 for cams of shape "
            f"{tuple(cams.shape)}, got {values.tolist()}"
        )
    palette = F.pad(values, (1, 0), value=BACKGROUND).to(torch.uint8)
    foreground = palette[_winner(cams, strong, refine, pool)]
    surely_background = _winner(cams, weak, refine, pool) == 0
    labels = foreground.masked_fill(foreground == BACKGROUND, IGNORE)
    return _spread(labels.masked_fill(surely_background, BACKGROUND), pool)[: cams.shape[1], : cams.shape[2]]


def grid_labels(labels: Tensor, stride: int = 8, *, ignore_votes: bool = True) -> Tensor:
    """Reduce a label map to the network's grid: each cell takes the most frequent label of its pixels.

    The vote is preferred to the nearest pixel because single pixels on a ragged border then label no cell.
    Ties go to the smallest value, so never to 255. Where the map ends inside a cell, only the pixels inside
    vote.

    Args:
        labels: (..., H, W) uint8.
        stride: pixels per cell and side.
        ignore_votes: let 255 win a cell as any label (right for confident regions, whose undecided cells must
            stay so); if False, 255 labels only cells without any other label (right for true masks with void
            borders, and for labels that cells have in common).

    Returns:
        (..., ceil(H / stride), ceil(W / stride)) uint8.

    """
    values: Tensor = labels.unique()  # type: ignore[no-untyped-call]
    votes = torch.stack([labels == value for value in values]).float()
    if not ignore_votes:
        votes[values == IGNORE] = 0
    shares = _pool(votes, stride)
    most, winner = shares.max(0)
    reduced: Tensor = values[winner]
    return reduced.masked_fill(most == 0, IGNORE)


def _winner(cams: Tensor, background: Tensor, refine: Callable[[Tensor], Tensor] | None, pool: int) -> Tensor:
    scores = with_background(cams, background)
    scores = scores if refine is None else refine(scores)
    return _pool(scores, pool).argmax(0)


def _pool(maps: Tensor, stride: int) -> Tensor:
    """Average (..., H, W) over stride x stride pixels, at the border over those that are inside."""
    if stride == 1:
        return maps
    pooled = F.avg_pool2d(maps.reshape(-1, 1, *maps.shape[-2:]), stride, ceil_mode=True)
    return pooled.reshape(*maps.shape[:-2], *pooled.shape[-2:])


def _spread(cells: Tensor, stride: int) -> Tensor:
    """Give the value of each cell (h, w) to its pixels: (stride * h, stride * w)."""
    return cells.repeat_interleave(stride, 0).repeat_interleave(stride, 1)
