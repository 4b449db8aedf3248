"""Quality of masks, CAMs, confident regions and classifiers.

Everything per image is a count, so that the quality over a data set is that of the summed counts: a confusion
matrix has one row per true mask value and one column per predicted one, the background being value 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from wsss.method.labels import BACKGROUND, IGNORE
from wsss.method.overlap import overlap


def confusion_matrix(prediction: Tensor, truth: Tensor, n_values: int, ignore: int = IGNORE) -> Tensor:
    """Count the pixels per true and predicted mask value: (C, C) int64, rows are the truth.

    Args:
        prediction: integers of any shape, below `n_values` wherever the truth counts.
        truth: integers of the same shape, below `n_values` or equal to `ignore`.
        n_values: C, the number of mask values, background included.
        ignore: value of the truth whose pixels do not count.

    Raises:
        ValueError: the shapes differ, or there is no such mask value.

    Examples:
        >>> import torch, wsss
        >>> truth, found = torch.tensor([0, 0, 1, 1, 255]), torch.tensor([0, 1, 1, 1, 0])
        >>> confusion = wsss.confusion_matrix(found, truth, n_values=2)
        >>> confusion.tolist()
        [[1, 1], [0, 2]]
        >>> wsss.class_iou(confusion).round(decimals=2).tolist()
        [0.5, 0.67]
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"confusion_matrix: prediction is {tuple(prediction.shape)}, truth {tuple(truth.shape)}"
        )
    counted = truth != ignore
    prediction, truth = prediction[counted].long(), truth[counted].long()
    _check_values("prediction", prediction, n_values)
    _check_values("truth", truth, n_values)
    return torch.bincount(truth * n_values + prediction, minlength=n_values**2).view(n_values, n_values)


def class_iou(confusion: Tensor) -> Tensor:
    """Intersection over union per class: (..., C) float64, nan where a class is in neither map."""
    return overlap(_hits(confusion), confusion.sum(-1), confusion.sum(-2))


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean of the intersections over union (...,) float64 of the classes that appear, background included."""
    return class_iou(confusion).nanmean(-1)


def class_precision(confusion: Tensor) -> Tensor:
    """Share of a class's predicted pixels that are right: (..., C) float64, nan if never predicted."""
    return _hits(confusion) / confusion.sum(-2)


def class_recall(confusion: Tensor) -> Tensor:
    """Share of a class's true pixels that are found: (..., C) float64, nan where the truth has none."""
    return _hits(confusion) / confusion.sum(-1)


def average_precision(scores: Tensor, labels: Tensor) -> Tensor:
    """Average precision per class of a multi-label classifier: (C,) float64, nan for a class without image.

    The mean over a class's images of the precision among the images that score at least as high: the area
    under the precision-recall curve without interpolation. Its mean over classes is the mAP.

    Args:
        scores: (N, C), any monotone score.
        labels: (N, C), non-zero where image n has class c.

    """
    return torch.stack([_ranked_precision(s, has) for s, has in zip(scores.T, labels.bool().T, strict=True)])


class ConfidentQuality(NamedTuple):
    """Shares of the pixels of known truth that are labelled so, and the share of these that are right."""

    background_share: float
    background_precision: float
    foreground_share: float
    foreground_precision: float


def confident_confusion(labels: Tensor, truth: Tensor, n_values: int, ignore: int = IGNORE) -> Tensor:
    """Count like `confusion_matrix`, with undecided pixels in a last column of their own: (C, C + 1) int64.

    Args:
        labels: (H, W) uint8 confident labels, `ignore` where undecided.
        truth: (H, W) uint8, `ignore` where unknown.
        n_values: C, the number of mask values, background included.
        ignore: value of undecided labels and of unknown truth.

    """
    decided = labels.long().masked_fill(labels == ignore, n_values)
    return confusion_matrix(decided, truth, n_values + 1, ignore)[:n_values]


def confident_quality(confusion: Tensor) -> ConfidentQuality:
    """Summarise the counts of `confident_confusion` (C, C + 1); a precision without any label is nan."""
    total, labelled, hits = confusion.sum(), confusion.sum(0)[:-1], _hits(confusion[:, :-1])
    background, foreground = labelled[BACKGROUND], labelled[1:].sum()
    return ConfidentQuality(
        background_share=(background / total).item(),
        background_precision=(hits[BACKGROUND] / background).item(),
        foreground_share=(foreground / total).item(),
        foreground_precision=(hits[1:].sum() / foreground).item(),
    )


def background_sweep(
    cams: Tensor,
    class_values: Iterable[int] | Tensor,
    truth: Tensor,
    n_values: int,
    thresholds: Tensor,
    ignore: int = IGNORE,
) -> Tensor:
    """Count the confusions of CAMs at many background scores in one pass over the pixels.

    At threshold b a pixel is background if no class scores above b. That covers constant backgrounds and,
    through `alpha_threshold`, the powers of the paper. The best of a grid is the argmax of `mean_iou` over
    the summed counts.

    Args:
        cams: (K, H, W) in [0, 1]; K = 0 is all background.
        class_values: the mask values of the K maps, in 1..n_values - 1.
        truth: (H, W) integers, below `n_values` or equal to `ignore`.
        n_values: C, the number of mask values, background included.
        thresholds: (T,) in [0, 1], ascending.
        ignore: value of the truth whose pixels do not count.

    Returns:
        (T, C, C) int64, rows of each matrix are the truth.

    Raises:
        ValueError: there is no such mask value, or the thresholds do not ascend.

    """
    if (thresholds.diff() < 0).any():
        raise ValueError(f"background_sweep: expected ascending thresholds, got {thresholds.tolist()}")
    counted = truth != ignore
    scores = torch.cat([cams.new_zeros(1, *cams.shape[1:]), cams])[:, counted].float()
    strongest, winner = scores.max(0)
    values = torch.tensor([BACKGROUND, *class_values], device=cams.device)
    level = torch.bucketize(strongest, thresholds.float())  # how many thresholds the strongest class beats
    true_class = truth[counted].long()
    _check_values("class_values", values, n_values)
    _check_values("truth", true_class, n_values)
    cell = (level * n_values + true_class) * n_values + values[winner]
    shape = (len(thresholds) + 1, n_values, n_values)
    histogram = torch.bincount(cell, minlength=shape[0] * n_values**2).view(shape)
    at_or_below = histogram.cumsum(0)[:-1]
    confusion = histogram.sum(0) - at_or_below
    confusion[:, :, BACKGROUND] += at_or_below.sum(-1)
    return confusion


def alpha_threshold(alpha: float) -> float:
    """Return the CAM value up to which the background (1 - m)^alpha wins: the root of (1 - m)^alpha = m.

    The left side falls and the right side rises with m, so there is one root in (0, 1), found by bisection.
    """
    low, high = 0.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        if (1 - middle) ** alpha >= middle:
            low = middle
        else:
            high = middle
    return low


def _check_values(name: str, values: Tensor, n_values: int) -> None:
    if values.numel() and not 0 <= values.min() <= values.max() < n_values:
        low, high = values.min().item(), values.max().item()
        raise ValueError(f"{name}: expected mask values in 0..{n_values - 1}, got {low}..{high}")


def _hits(confusion: Tensor) -> Tensor:
    return confusion.diagonal(dim1=-2, dim2=-1).double()


def _ranked_precision(scores: Tensor, positive: Tensor) -> Tensor:
    hits = scores[positive]
    at_least = len(scores) - torch.searchsorted(scores.sort().values, hits)
    hits_at_least = len(hits) - torch.searchsorted(hits.sort().values, hits)
    return (hits_at_least.double() / at_least).mean()
