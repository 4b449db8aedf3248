"""From counts to a ranking of all points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from wsss.stages.sweep.points import Grid, Point, Row, best_first
from wsss.stages.sweep.tally import Tally, total
from wsss.stages.sweep.usual import near_usual

MIOU, LABEL_FREE = "miou", "label_free"

SIGNALS = (LABEL_FREE, "alignment", "agreement", "changed", "vanished")
"""Metrics that need no true mask."""

PROTOCOL = (
    "Masks of the random walk before any dense CRF, of the images that the study scores, or of all images "
    "of train where none has a true mask. miou and iou: against the true masks, all pixels counted together. "
    "agreement: mean IoU with the confident regions, over their pixels. alignment: correlation of two "
    "pixels, 12 % of the longest side apart, being of different classes and of different colours. vanished: "
    "share of the labels that win less than a thousandth of their image. label_free: alignment, where it is "
    "positive, times the share of labels that have not vanished; without true masks, points near the usual "
    "values of docs/settings.md come first. changed: share of "
    "pixels that the CAMs with the same background give to another class. coverage: share of the pixels of "
    "the images with a label that its class wins. correlation: of each with miou, over the ranks of all "
    "points (Spearman)."
)


def rank(
    value_names: Sequence[str], tallies: Sequence[tuple[Grid, Tally]], steps: float | None = None
) -> dict[str, Any]:
    """Rank all points, best first: by mIoU, or without true masks by the product of label-free signals.

    Args:
        value_names: names by mask value, background first.
        tallies: of each beta, summed over the shards.
        steps: usual t, see `usual_steps`: without true masks, points near the usual values come first.

    Returns:
        The content of `sweep/points.json`: how it is counted, and the points with their metrics.
    """
    rows = [row for grid, tally in tallies for row in _rows(value_names, grid, tally)]
    scored = any(tally.truth.expected.any() for _, tally in tallies)
    criterion = MIOU if scored else LABEL_FREE
    rows = best_first(rows, criterion)
    if not scored and steps is not None:
        trusted = {Point.of(row) for row in _trusted(rows, steps)}
        rows.sort(key=lambda row: Point.of(row) not in trusted)
    return {
        "protocol": PROTOCOL,
        "criterion": criterion,
        "value_names": list(value_names),
        "images": int(tallies[0][1].given_images[0]),
        "usual_steps": steps,
        "correlation": _correlations(rows) if scored else None,
        "points": [{"rank": place} | row for place, row in enumerate(rows, start=1)],
    }


def _trusted(rows: Sequence[Row], steps: float) -> Iterator[Row]:
    """Yield the points near the usual values, which are those of scores that are normalised by class."""
    for kind, key in (("power", "alpha"), ("constant", "score")):
        own = [row for row in rows if (row["background"], row["normalize"]) == (kind, "class")]
        if own:
            yield from near_usual(own, (key, "beta", "t"), steps)


def gather(shards: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[tuple[Grid, Tally]]]:
    """Add up files `sweep/<beta>/<shard>.json` over the shards: names by mask value, and a tally per beta."""
    names: list[str] = []
    tallies: dict[Grid, list[Tally]] = defaultdict(list)
    for content in shards:
        names = content["value_names"]
        tallies[Grid.from_json(content["grid"])].append(Tally.from_json(content["counts"]))
    return names, [(grid, total(parts, grid, len(names))) for grid, parts in tallies.items()]


def _rows(value_names: Sequence[str], grid: Grid, tally: Tally) -> Iterator[Row]:
    """Yield the points of one beta with their metrics."""
    metrics = _metrics(tally)
    iou, coverage = tally.truth.iou, tally.predicted / np.maximum(tally.given_pixels, 1)
    for place, point in grid.points():
        yield (
            point.columns
            | {name: float(values[place]) for name, values in metrics.items()}
            | {
                "iou": dict(zip(value_names, iou[place].tolist(), strict=True)),
                "coverage": dict(zip(value_names, coverage[place].tolist(), strict=True)),
            }
        )


def _metrics(tally: Tally) -> dict[str, NDArray[np.float64]]:
    """The metrics of all points that are one number: (T, N, B) each."""
    alignment = _alignment(tally)
    vanished = tally.vanished[..., 1:].sum(-1) / max(1, tally.given_images[1:].sum())
    return {
        MIOU: _mean(tally.truth.iou),
        LABEL_FREE: np.maximum(alignment, 0) * (1 - vanished),
        "alignment": alignment,
        "agreement": _mean(tally.confident.iou),
        "changed": tally.changed / tally.given_pixels[0],
        "vanished": vanished,
    }


def _alignment(tally: Tally) -> NDArray[np.float64]:
    """Correlate different classes with different colours over all pairs: (T, N, B), 0 if either is constant.

    A mask of one class parts no pair, and has 0.
    """
    number, colours, squares = tally.pairs / max(1.0, tally.pairs[0])
    share, parting = tally.parted / max(1.0, tally.pairs[0]), tally.parting / max(1.0, tally.pairs[0])
    spread = share * (number - share) * max(0.0, squares - colours**2)
    aligned: NDArray[np.float64] = np.where(
        spread > 0, (parting - share * colours) / np.sqrt(np.maximum(spread, 1e-12)), 0.0
    )
    return aligned


def _correlations(rows: Sequence[Row]) -> dict[str, float]:
    """Spearman's rank correlation with mIoU of each signal; nan where either never differs."""
    miou, *signals = (_order([row[name] for row in rows]) for name in (MIOU, *SIGNALS))
    return {name: _spearman(miou, signal) for name, signal in zip(SIGNALS, signals, strict=True)}


def _spearman(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    return float(spearmanr(first, second).statistic)


def _order(values: Sequence[float]) -> NDArray[np.int64]:
    """Number values (N,) in ascending order, equal ones alike; nan, equal to itself, comes last."""
    order: NDArray[np.int64] = np.unique(values, return_inverse=True)[1]
    return order


def _mean(iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over the classes (..., C) that appear; nan where none does."""
    appear = ~np.isnan(iou)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = np.where(appear, iou, 0).sum(-1) / appear.sum(-1)
    return means


def table(ranking: Mapping[str, Any]) -> list[Row]:
    """Flatten the points for a table: a column per figure and per class, shares as they are."""
    return [
        {name: value for name, value in point.items() if not isinstance(value, dict)}
        | {f"{name}_{kind}": share for name in ("iou", "coverage") for kind, share in point[name].items()}
        for point in ranking["points"]
    ]
