"""The sweep: maps of beta over t for both backgrounds, and curves over alpha and the constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wsss.report.figures.style import INK, MUTED, PAPER, axes_at, heading, styled

Point = Mapping[str, Any]
"""A point of `sweep/points.json`: values of `random_walk`, and figures as shares."""

CRITERIA = {"miou": "mIoU", "label_free": "label-free score"}

SHADES = LinearSegmentedColormap.from_list("sweep", ["#f4f6f8", "#8fd0c8", "#0b9384", "#06655c"])

PALEST = 0.85
"""Share of the best at which cells are palest: what is worse interests nobody."""

BEST = "#e0551a"
"""Colour of what marks the best point."""

CELL, CURVES = (0.78, 0.5), 2.1
"""Inches: width and height of a cell of a map, height of the curves."""

LEFT, GAP, RIGHT, ABOVE, BETWEEN, BELOW = 0.75, 0.85, 0.35, 1.35, 0.95, 0.7
"""Inches around and between the panels."""


class Rule(NamedTuple):
    """A way to score the background: its name in `random_walk.background`, its key, how both are written."""

    name: str
    key: str
    symbol: str
    title: str


RULES = (
    Rule("power", "alpha", "α", "background by power"),
    Rule("constant", "constant", "c", "constant background"),
)

NORMALIZED = {
    "none": ("as walked", "#4347c4"),
    "class": ("normalized by class", "#0b9384"),
    "image": ("normalized by image", "#0b9384"),
}
"""By `normalize`: what is done after the walk, and the colour of its curve; a sweep tries two of them."""


@styled
def plot_sweep(ranking: Mapping[str, Any]) -> Figure:
    """Draw the points of a sweep.

    Four maps of beta over t, by background rule and normalisation, each cell at its best alpha or constant,
    and below them the best of all beta and t over alpha and the constant.

    Args:
        ranking: the content of `sweep/points.json`.
    """
    points, criterion = ranking["points"], ranking["criterion"]
    betas, ts = sorted({point["beta"] for point in points}), sorted({point["t"] for point in points})
    width, height = CELL[0] * len(ts), CELL[1] * len(betas)
    bottom = BELOW + CURVES + BETWEEN
    figure = Figure(
        figsize=(LEFT + 2 * width + GAP + RIGHT, bottom + 2 * height + BETWEEN + ABOVE),
    )
    heading(figure, "Sweep of the random walk", _subtitle(ranking))
    shown = [point for cells in maps(points, criterion).values() for point in cells.values()]
    values = [100 * point[criterion] for point in shown]
    colours = Normalize(max(min(values), PALEST * max(values)), max(values), clip=True)
    for (rule, normalize), cells in maps(points, criterion).items():
        left = LEFT + RULES.index(rule) * (width + GAP)
        axes = axes_at(figure, left, bottom + (normalize == "none") * (height + BETWEEN), width, height)
        _label_map(axes, betas, ts, f"{rule.title}, {NORMALIZED[normalize][0]}")
        for (beta, t), point in cells.items():
            _draw_cell(axes, (ts.index(t), betas.index(beta)), point, rule, criterion, colours)
    for rule in RULES:
        axes = axes_at(figure, LEFT + RULES.index(rule) * (width + GAP), BELOW, width, CURVES)
        _draw_curves(axes, points, rule, criterion)
    return figure


def _subtitle(ranking: Mapping[str, Any]) -> str:
    best = ranking["points"][0]
    at = f"β {best['beta']:g}, t {best['t']}" + (
        f", {NORMALIZED[best['normalize']][0]}" if best["normalize"] != "none" else ""
    )
    rule = next(rule for rule in RULES if rule.name == best["background"])
    value = 100 * best[ranking["criterion"]]
    return (
        f"{CRITERIA[ranking['criterion']]} in % on {ranking['images']} images of train, without dense CRF; "
        f"best of {len(ranking['points'])} points: {value:.1f} at {rule.symbol} {best[rule.key]:g}, {at}"
    )


def _normalisations(points: Sequence[Point]) -> list[str]:
    """List what the points try after the walk, "none" first."""
    tried = {point["normalize"] for point in points}
    return [normalize for normalize in NORMALIZED if normalize in tried]


def maps(points: Sequence[Point], criterion: str) -> dict[tuple[Rule, str], dict[tuple[float, int], Point]]:
    """Find the best point of each beta and t, by rule and normalisation; points come best first."""
    maps: dict[tuple[Rule, str], dict[tuple[float, int], Point]] = {
        (rule, normalize): {} for normalize in _normalisations(points) for rule in RULES
    }
    for point in points:
        rule = next(rule for rule in RULES if rule.name == point["background"])
        if point[criterion] is not None:
            maps[rule, point["normalize"]].setdefault((point["beta"], point["t"]), point)
    return maps


def _label_map(axes: Axes, betas: Sequence[float], ts: Sequence[int], title: str) -> None:
    axes.set(xlim=(-0.5, len(ts) - 0.5), ylim=(-0.5, len(betas) - 0.5), xlabel="t", ylabel="β", title=title)
    axes.set_xticks(range(len(ts)), map(str, ts))
    axes.set_yticks(range(len(betas)), [f"{beta:g}" for beta in betas])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)


def _draw_cell(
    axes: Axes, place: tuple[int, int], point: Point, rule: Rule, criterion: str, colours: Normalize
) -> None:
    """Fill a cell by its value and write this and the background's; frame it if it is the best of all."""
    x, y = place
    shade = colours(100 * point[criterion])
    ink = PAPER if shade > 0.5 else INK
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=SHADES(shade), edgecolor=PAPER))
    axes.text(x, y + 0.14, f"{100 * point[criterion]:.1f}", color=ink, ha="center", va="center", size=10)
    value = f"{rule.symbol} {point[rule.key]:g}"
    axes.text(x, y - 0.25, value, color=ink, ha="center", va="center", size=7.5, alpha=0.85)
    if point["rank"] == 1:
        frame = {"facecolor": "none", "edgecolor": BEST, "linewidth": 3, "zorder": 3, "clip_on": False}
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, **frame))


def _draw_curves(axes: Axes, points: Sequence[Point], rule: Rule, criterion: str) -> None:
    """Draw the best of all beta and t over the values of one rule, without and with normalisation."""
    axes.set_xlabel({"alpha": "α", "constant": "constant"}[rule.key])
    if rule.key == "alpha":
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for normalize in _normalisations(points):
        name, colour = NORMALIZED[normalize]
        best: dict[float, float] = {}
        for point in points:
            if (point["background"], point["normalize"]) == (rule.name, normalize) and point[criterion]:
                best.setdefault(point[rule.key], 100 * point[criterion])
        axes.plot(
            *zip(*sorted(best.items()), strict=True), color=colour, marker="o", markersize=5, label=name
        )
    winner = points[0]
    if winner["background"] == rule.name:
        at = winner[rule.key], 100 * winner[criterion]
        axes.scatter(*at, s=130, facecolor="none", edgecolor=BEST, linewidth=2.5, zorder=4, clip_on=False)
    axes.legend(frameon=False, fontsize=9.5, labelcolor="linecolor", loc="lower center")
    axes.set_title("best of all β and t")
    axes.tick_params("y", colors=MUTED)
