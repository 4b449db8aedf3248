"""From counts to a ranking of all points, and the overlay with which a study takes over the best of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from wsss.stages.sweep.points import KEYS, Grid
from wsss.stages.sweep.tally import Tally, total

Row = dict[str, Any]
"""A point and its figures."""

MIOU, LABEL_FREE = "miou", "label_free"

SIGNALS = (LABEL_FREE, "agreement", "contrast", "changed", "vanished")
"""Figures that need no true mask."""

PROTOCOL = (
    "Masks of the random walk before any dense CRF, of the images that the study scores, or of all images "
    "of train where none has a true mask. miou and iou: against the true masks, all pixels counted together. "
    "agreement: mean IoU with the confident regions, over their pixels. contrast: difference of colours "
    "across the masks' borders, as a multiple of that across any place. label_free: agreement times "
    "contrast. changed: share of pixels that the CAMs with the same background give to another class. "
    "vanished: share of the labels that win no pixel of their image. coverage: share of the pixels of the "
    "images with a label that its class wins. correlation: of each with miou, over the ranks of all points "
    "(Spearman)."
)


def rank(classes: Sequence[str], tallies: Sequence[tuple[Grid, Tally]]) -> dict[str, Any]:
    """Rank all points, best first: by mIoU, or without true masks by the product of two label-free signals.

    Args:
        classes: names, background first.
        tallies: of each beta, summed over the shards.

    Returns:
        The content of `sweep/points.json`: how it is counted, and the points with their figures.
    """
    rows = [row for grid, tally in tallies for row in _rows(classes, grid, tally)]
    scored = any(tally.truth.expected.any() for _, tally in tallies)
    criterion = MIOU if scored else LABEL_FREE
    rows.sort(key=lambda row: np.nan_to_num(row[criterion], nan=-1), reverse=True)
    return {
        "protocol": PROTOCOL,
        "criterion": criterion,
        "classes": list(classes),
        "images": int(tallies[0][1].given_images[0]),
        "correlation": _correlations(rows) if scored else None,
        "points": [{"rank": place} | row for place, row in enumerate(rows, start=1)],
    }


def gather(shards: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[tuple[Grid, Tally]]]:
    """Add up files `sweep/<beta>/<shard>.json` over the shards: names of the classes, a tally per beta."""
    classes: list[str] = []
    tallies: dict[Grid, list[Tally]] = defaultdict(list)
    for content in shards:
        classes = content["classes"]
        tallies[Grid.of(content["grid"])].append(Tally.from_json(content["counts"]))
    return classes, [(grid, total(parts, grid, len(classes))) for grid, parts in tallies.items()]


def _rows(classes: Sequence[str], grid: Grid, tally: Tally) -> Iterator[Row]:
    """Yield the points of one beta with their figures."""
    figures = _figures(tally)
    iou, coverage = tally.truth.iou, tally.predicted / np.maximum(tally.given_pixels, 1)
    for place, point in grid.points():
        yield (
            {key: point.keys.get(key) for key in KEYS}
            | {name: float(values[place]) for name, values in figures.items()}
            | {
                "iou": dict(zip(classes, iou[place].tolist(), strict=True)),
                "coverage": dict(zip(classes, coverage[place].tolist(), strict=True)),
            }
        )


def _figures(tally: Tally) -> dict[str, NDArray[np.float64]]:
    """The figures of all points that are one number: (T, 2, B) each."""
    agreement = _mean(tally.confident.iou)
    contrast = tally.contrast / np.maximum(1, tally.border)
    return {
        MIOU: _mean(tally.truth.iou),
        LABEL_FREE: agreement * contrast,
        "agreement": agreement,
        "contrast": contrast,
        "changed": tally.changed / tally.given_pixels[0],
        "vanished": tally.vanished[..., 1:].sum(-1) / max(1, tally.given_images[1:].sum()),
    }


def _correlations(rows: Sequence[Row]) -> dict[str, float]:
    """Spearman's rank correlation with mIoU of each signal; nan where either never differs."""
    columns = np.array([[row[name] for row in rows] for name in (MIOU, *SIGNALS)])
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef([_ranks(column) for column in columns])[0, 1:]
    return dict(zip(SIGNALS, correlation.tolist(), strict=True))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank values (N,) in ascending order; equal ones share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (count.cumsum() - (count - 1) / 2)[place]
    return ranks


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


def overlay(ranking: Mapping[str, Any], path: str) -> str:
    """Write the best point as a file for `--configfile`, with the command that uses it; `path` is its own."""
    best = ranking["points"][0]
    section = {"random_walk": {key: best[key] for key in KEYS if best[key] is not None}}
    count, images = len(ranking["points"]), ranking["images"]
    value = f"mIoU {100 * best[MIOU]:.1f} %" if ranking["criterion"] == MIOU else "by label-free signals,"
    return f"""\
# The best of {count} points of `snakemake sweep`: {value} on {images} images of train.
# Scored without dense CRF: for a study with `refine: dense_crf` another point may be the best.
#   snakemake --cores all --configfile STUDY.yaml {path}
{yaml.safe_dump(section, sort_keys=False)}"""
