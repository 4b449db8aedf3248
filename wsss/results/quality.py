"""Signals of how good each mask is, as tab-separated values; no true mask is needed for them.

The file of a shard has a line per image. `images.tsv` has the lines of all shards with their score and rank,
for spreadsheets and people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from wsss.results.rows import read_rows, write_rows

SIGNALS = (
    "network", "alpha", "dense_crf", "walk", "confident",
    "margin", "contour", "changed", "vanished", "area",
)  # fmt: skip
"""Shares in [0, 1], see `wsss.stages.quality`."""

_SIGNAL_COLUMNS = ("id", *SIGNALS)
_RANKING_COLUMNS = ("id", "rank", "labels", "score", *SIGNALS)


class ImageSignals(NamedTuple):
    """What is known of an image's mask without a true one: `values` by signal, nan where there is none."""

    image: str
    values: Mapping[str, float]


class RankedImage(NamedTuple):
    """A line of `images.tsv`.

    Attributes:
        rank: 1 for the mask to look at first.
        image: its id.
        labels: names of the image's classes.
        score: in [0, 1], of what `rank` is the order; the lower, the sooner.
        signals: what the score is made of, and others, by name; nan where there is none.
    """

    rank: int
    image: str
    labels: tuple[str, ...]
    score: float
    signals: Mapping[str, float]


def write_signals(path: str | Path, images: Iterable[ImageSignals]) -> None:
    """Write what `read_signals` reads, whole or not at all."""
    write_rows(path, _SIGNAL_COLUMNS, ((image, *_texts(values)) for image, values in images))


def read_signals(path: str | Path) -> list[ImageSignals]:
    """Read the signals of a shard.

    Raises:
        ArtifactError: naming file and line of what is no such row, or comes twice.
    """

    def row(image: str, *signals: str) -> ImageSignals:
        return ImageSignals(image, _numbers(signals))

    return list(read_rows(path, _SIGNAL_COLUMNS, row, key=1))


def write_ranking(path: str | Path, images: Iterable[RankedImage]) -> None:
    """Write what `read_ranking` reads, whole or not at all; several labels have a semicolon between them."""
    rows = (
        (image, rank, "; ".join(labels), f"{score:.4f}", *_texts(signals))
        for rank, image, labels, score, signals in images
    )
    write_rows(path, _RANKING_COLUMNS, rows)


def read_ranking(path: str | Path) -> list[RankedImage]:
    """Read the ranking of all images, in the order of the file.

    Raises:
        ArtifactError: naming file and line of what is no such row, or comes twice.
    """

    def row(image: str, rank: str, labels: str, score: str, *signals: str) -> RankedImage:
        names = tuple(labels.split("; ")) if labels else ()
        return RankedImage(int(rank), image, names, _number(score), _numbers(signals))

    return list(read_rows(path, _RANKING_COLUMNS, row, key=1))


def _texts(values: Mapping[str, float]) -> Iterator[str]:
    found = (values.get(name, math.nan) for name in SIGNALS)
    return ("" if math.isnan(value) else f"{value:.4f}" for value in found)


def _numbers(cells: Iterable[str]) -> dict[str, float]:
    return {name: _number(cell) for name, cell in zip(SIGNALS, cells, strict=True)}


def _number(cell: str) -> float:
    value = float(cell) if cell else math.nan
    if cell and not 0 <= value <= 1:
        raise ValueError(f"{cell}, expected a share in [0, 1] or nothing")
    return value
