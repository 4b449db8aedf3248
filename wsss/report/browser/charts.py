"""Confusion of classes, and the maps of a sweep, as data for templates; figures as SVG within a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsss.report.figures.style import FAINT, INK, MUTED, PAPER, styled
from wsss.report.figures.sweep import NORMALIZED, PALEST, Point, Rule, maps
from wsss.report.rendering import labelled_svg
from wsss.report.summary import percent

MOST_CLASSES = 32
"""Of more, the largest entries are listed alone."""

LISTED = 10

THEMED = {
    INK: "ink", MUTED: "muted", FAINT: "faint", PAPER: "paper", "#f3f4f7": "own", "#b8bec8": "muted",
    "#cfd4dc": "line", "#dfe3ea": "faint", "#8a94a6": "muted",
    "#ec9a06": "cam", "#9a5b13": "refined", "#0b9384": "walk", "#4347c4": "network",
}  # fmt: skip
"""Colours of figures that are others in the dark, by the name of their variable in the page's style."""


class Mistake(NamedTuple):
    """Pixels of a class that were given another one, as a share of the pixels of the first."""

    true: str
    given: str
    share: float


class Confusion(NamedTuple):
    """Which classes are taken for which.

    Attributes:
        title: of what.
        names: of the mask values, background first.
        rows: shares (C, C) in [0, 1] of each true class that were given each; None without pixels of the
            class; no rows where there are too many classes for a table.
        largest: mistakes, the largest first.
    """

    title: str
    names: tuple[str, ...]
    rows: list[list[float | None]]
    largest: list[Mistake]


class MapCell(NamedTuple):
    """A cell of a sweep's map: its figure in percent, the background's value, and a sentence on it.

    `shade` is in [0, 1], 1 for the best; `is_best` marks the best of all points.
    """

    value: str
    setting: str
    shade: float
    is_best: bool
    says: str


class SweepMap(NamedTuple):
    """A map of beta over t; rows from the largest beta down, None where nothing was tried."""

    title: str
    ts: list[int]
    rows: list[tuple[float, list[MapCell | None]]]


def confusion(title: str, metrics: Mapping[str, Any]) -> Confusion | None:
    """The confusion of a stage, from its scores; None if it has none.

    Args:
        title: of what.
        metrics: `confusion`, (C, C) or with undecided pixels in one more column, and `value_names`.
    """
    if not metrics.get("scored_images") or "confusion" not in metrics:
        return None
    names = tuple(metrics["value_names"])
    counts = np.array(metrics["confusion"], np.float64)[:, : len(names)]
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    rows = [[None if np.isnan(share) else float(share) for share in row] for row in shares]
    return Confusion(title, names, rows if len(names) <= MOST_CLASSES else [], _largest(names, shares))


def _largest(names: Sequence[str], shares: NDArray[np.float64]) -> list[Mistake]:
    wrong = np.nan_to_num(shares)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    places = (divmod(int(place), len(names)) for place in order)
    return [Mistake(names[y], names[x], float(wrong[y, x])) for y, x in places if wrong[y, x] > 0]


def sweep_maps(ranking: Mapping[str, Any]) -> list[SweepMap]:
    """The maps of a sweep, each cell at its best alpha or constant; `ranking` is `sweep/points.json`."""
    points, criterion = ranking["points"], ranking["criterion"]
    ts = sorted({point["t"] for point in points})
    betas = sorted({point["beta"] for point in points}, reverse=True)
    found = maps(points, criterion)
    values = [point[criterion] for cells in found.values() for point in cells.values()]
    if not values:
        return []
    span = max(min(values), PALEST * max(values)), max(values)
    return [
        SweepMap(
            f"{rule.title}, {NORMALIZED[normalize][0]}",
            ts,
            [(beta, [_cell(cells.get((beta, t)), rule, criterion, span) for t in ts]) for beta in betas],
        )
        for (rule, normalize), cells in found.items()
        if cells
    ]


def _cell(point: Point | None, rule: Rule, criterion: str, span: tuple[float, float]) -> MapCell | None:
    if point is None:
        return None
    palest, best = span
    shade = (point[criterion] - palest) / (best - palest) if best > palest else 1.0
    return MapCell(
        percent(point[criterion]),
        f"{rule.symbol} {point[rule.key]:g}",
        round(min(1.0, max(0.0, shade)), 3),
        point["rank"] == 1,
        f"rank {point['rank']}: " + "; ".join(_facts(point, rule)),
    )


def _facts(point: Point, rule: Rule) -> Iterator[str]:
    walked = f"β {point['beta']:g}, t {point['t']}, {NORMALIZED[point['normalize']][0]}"
    yield f"{rule.symbol} {point[rule.key]:g}, {walked}"
    for key, title in (("miou", "mIoU"), ("agreement", "agreement with confident regions")):
        if point.get(key) is not None:
            yield f"{title} {percent(point[key])} %"
    for key in ("label_free", "alignment"):
        if point.get(key) is not None:
            yield f"{key.replace('_', '-')} {point[key]:.2g}"


@styled
def inline_svg(figure: Figure, label: str) -> Markup:
    """A figure as an element of a page, whose text stays text and whose colours follow the page.

    Args:
        figure: drawn by this package.
        label: what it shows, for those who do not see it; it also makes its ids differ from those of others.
    """
    file = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'style="[^"]*"', lambda style: _themed(style[0]), drawn)
    return labelled_svg(drawn, label)


def _themed(style: str) -> str:
    return re.sub(r"#[0-9a-f]{6}", lambda found: _colour(found[0]), style)


def _colour(colour: str) -> str:
    return f"var(--{THEMED[colour]})" if colour in THEMED else colour
