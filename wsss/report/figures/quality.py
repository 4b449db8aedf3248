"""The masks to look at first as a table in HTML, and how well the signals rank if there are true masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from wsss.report.figures.table import percent_cell
from wsss.report.rendering import render
from wsss.report.sections import Cell, Line, Section
from wsss.results import SIGNALS, RankedImage


def quality_table(ranking: Sequence[RankedImage], scores: Mapping[str, Any], count: int = 20) -> Markup:
    """Lay out the first masks of a ranking, and the scores of the signals.

    Args:
        ranking: all images, those to look at first on top.
        scores: the content of `scores/quality.json`.
        count: the most lines.
    """
    measured = [name for name in SIGNALS if any(not math.isnan(image.signals[name]) for image in ranking)]
    sections = [_first(ranking, measured, count)]
    if scores["scored_images"]:
        sections.append(_ranked(scores, ["score", *measured, "few_labels"]))
    return render("quality", sections=sections, protocol=scores["protocol"])


def _first(ranking: Sequence[RankedImage], signals: Sequence[str], count: int) -> Section:
    lines = [
        Line(
            (
                Cell(f"{image.rank}. {image.image}"),
                Cell(", ".join(image.labels), kind="text"),
                percent_cell(image.score),
                *(percent_cell(image.signals[name]) for name in signals),
            )
        )
        for image in ranking[:count]
    ]
    head = Cell("image"), Cell("labels", kind="text"), *map(Cell, (_title(n) for n in ("score", *signals)))
    title = f"Look at these first: {len(lines)} of {len(ranking)} images of train, in %"
    return Section(title, head, tuple(lines), "wide")


def _ranked(scores: Mapping[str, Any], names: Sequence[str]) -> Section:
    lines = [
        Line(
            (
                Cell(_title(name)),
                _number(found["spearman"]),
                _number(found["one_label"]),
                percent_cell(found["first_tenth"]),
            ),
            "mean" if name == "score" else "",
        )
        for name in names
        if (found := scores["signals"][name])["images"]
    ]
    head = (
        "signal",
        "rank correlation with mIoU",
        "of images with one label",
        "mIoU of the first tenth, in %",
    )
    title = f"How well they rank {scores['scored_images']} scored images, of mIoU {100 * scores['miou']:.1f}"
    return Section(title, tuple(map(Cell, head)), tuple(lines))


def _title(name: str) -> str:
    return name.replace("_", " ")


def _number(value: float | None) -> Cell:
    return Cell("–" if value is None else f"{value:+.2f}")
