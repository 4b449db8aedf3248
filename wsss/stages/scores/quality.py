"""How well signals of a mask's quality, made without true masks, rank masks by their true quality."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from wsss.results import SIGNALS, RankedImage

if TYPE_CHECKING:
    from wsss.stages.scores.truth import Metrics

PROTOCOL = (
    "Over the scored images of train: spearman: rank correlation of a signal with the mIoU of the image's "
    "pseudo mask, over the classes in mask or truth, background included; first_tenth: mean mIoU of the "
    "tenth of the images with the least of the signal, to compare with miou, that of all. score: what the "
    "list is ordered by. few_labels: the number of labels, the fewer the better, which needs no mask at all. "
    "one_label: spearman among the images with a single label. changed, vanished and area count as 1 minus "
    "their value."
)

REVERSED = ("changed", "vanished", "area")
"""Signals of which less is better."""

FEWEST = 3
"""Images over which a correlation is worth a number."""

Floats = NDArray[np.float64]


def score_quality(ranking: Sequence[RankedImage], miou: Mapping[str, float]) -> Metrics:
    """Score the signals of masks.

    Args:
        ranking: the images with their signals.
        miou: of the pseudo mask of each scored image, in [0, 1], by id; none without true masks.

    Returns:
        The content of `scores/quality.json`: `signals` by name, each with `spearman`, `one_label`,
        `first_tenth` and the number of `images` that have it; nan where that is too few.
    """
    scored = [image for image in ranking if image.image in miou]
    truth = np.array([miou[image.image] for image in scored])
    columns = {"score": [image.score for image in scored]}
    columns |= {name: [_upwards(name, image.signals[name]) for image in scored] for name in SIGNALS}
    columns["few_labels"] = [-float(len(image.labels)) for image in scored]
    single = np.array([len(image.labels) == 1 for image in scored], np.bool_)
    return {
        "protocol": PROTOCOL,
        "split": "train",
        "scored_images": len(scored),
        "miou": float(truth.mean()) if len(truth) else math.nan,
        "signals": {name: _ranked(np.array(values), truth, single) for name, values in columns.items()},
    }


def _upwards(name: str, value: float) -> float:
    return 1 - value if name in REVERSED else value


def _ranked(values: Floats, truth: Floats, single: NDArray[np.bool_]) -> dict[str, Any]:
    known = ~np.isnan(values)
    values, truth, single = values[known], truth[known], single[known]
    first = np.argsort(values, kind="stable")[: max(1, len(values) // 10)]
    return {
        "images": len(values),
        "spearman": _spearman(values, truth),
        "one_label": _spearman(values[single], truth[single]),
        "first_tenth": float(truth[first].mean()) if len(values) else math.nan,
    }


def _spearman(values: Floats, truth: Floats) -> float:
    if len(values) < FEWEST or np.ptp(values) == 0 or np.ptp(truth) == 0:
        return math.nan
    return float(spearmanr(values, truth).statistic)
