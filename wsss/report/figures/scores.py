"""Scores along the road: IoU per class and stage, and how the CAMs' mIoU depends on the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsss.report.figures.style import INK, MUTED, axes_at, heading, notice, styled

Metrics = Mapping[str, Any]
"""The content of one `scores/<artifact>.json`, see `wsss.stages.scores`."""

CAM, REFINED_CAM = ("CAM", "#ec9a06"), ("CAM + dCRF", "#9a5b13")
PSEUDO_MASK, SEGMENTATION = ("pseudo mask", "#0b9384"), ("segmentation", "#4347c4")
"""Name and colour of what is scored."""

NO_MASKS = "no masks to score on"

ROW, COLUMN, DOTS, ABOVE, BELOW = 0.4, 1.25, 5.0, 1.5, 0.45
"""Inches: height of a class, width of a column of numbers, of the dots, and what is above and below them."""

DOT = {"s": 58, "edgecolor": "white", "linewidth": 1}


class Scored(NamedTuple):
    """Something that was scored: its name, its colour and its metrics."""

    name: str
    colour: str
    metrics: Metrics


def scored_stages(metrics: Mapping[str, Metrics]) -> list[Scored]:
    """List what was scored on at least one image, in the order of the road.

    Args:
        metrics: by artifact, with "cams", "random_walk" and "segmentation".
    """
    stages = [
        Scored(*CAM, metrics["cams"]),
        Scored(*REFINED_CAM, metrics["cams"].get("dense_crf", {})),
        Scored(*PSEUDO_MASK, metrics["random_walk"]),
        Scored(*SEGMENTATION, metrics["segmentation"]),
    ]
    return [stage for stage in stages if stage.metrics.get("scored_images")]


@styled
def plot_scores(metrics: Mapping[str, Metrics]) -> Figure:
    """Draw the IoU of each class in percent, from the CAMs to the segmentation network.

    Args:
        metrics: by artifact, with "cams", "random_walk" and "segmentation".
    """
    stages = scored_stages(metrics)
    if not stages:
        return notice("IoU per class", NO_MASKS)
    names, table = iou_table(stages)
    margin = 0.45 + 0.085 * max(map(len, names))
    width = margin + DOTS + COLUMN * len(stages) + 0.3
    figure = Figure(figsize=(width, ABOVE + ROW * len(names) + BELOW))
    heading(figure, "IoU per class", "in %; CAMs at the constant background that is best for their mean")
    axes = axes_at(figure, margin, BELOW, DOTS, ROW * len(names))
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.axhspan(-0.5, 0.5, -margin / DOTS, (width - margin) / DOTS, color="#f3f4f7", clip_on=False, zorder=0)
    _draw_dots(axes, table, [stage.colour for stage in stages])
    for column, stage in enumerate(stages):
        _write_column(axes, 1 + (COLUMN * (column + 0.55) + 0.1) / DOTS, stage, table[column])
    return figure


def iou_table(stages: Sequence[Scored]) -> tuple[list[str], NDArray[np.float64]]:
    """Return the names of the rows, "mean" and then the classes, and IoU in percent (stages, rows)."""
    names = stages[0].metrics["value_names"]
    rows = [[metrics["miou"], *(metrics["iou"][name] for name in names)] for _, _, metrics in stages]
    return ["mean", *names], 100 * np.array(rows, dtype=np.float64)


def _draw_dots(axes: Axes, table: NDArray[np.float64], colours: Sequence[str]) -> None:
    """Draw each class's way from stage to stage, a little downwards so that equal values stay apart."""
    places = np.arange(table.shape[1]) + np.linspace(-0.16, 0.16, len(table))[:, None]
    axes.plot(table, places, color="#cfd4dc", zorder=2)
    for values, place, colour in zip(table, places, colours, strict=True):
        axes.scatter(values, place, color=colour, zorder=3, clip_on=False, **DOT)
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params("x", length=0)
    axes.tick_params("y", colors=INK)


def _write_column(axes: Axes, x: float, stage: Scored, values: NDArray[np.float64]) -> None:
    """Write a stage's values beside the dots, under its name, which explains their colour."""
    name, colour, metrics = stage
    beside = axes.get_yaxis_transform()
    centred = {"transform": beside, "ha": "center", "va": "center_baseline"}
    axes.scatter([x], [-1.75], color=colour, transform=beside, clip_on=False, **DOT)
    axes.text(x, -1.3, name, color=colour, weight="bold", size=10, **centred)
    axes.text(x, -0.85, f"{metrics['scored_images']} {metrics['split']}", color=MUTED, size=9, **centred)
    for row, value in enumerate(values):
        text = "–" if np.isnan(value) else f"{value:.1f}"
        axes.text(x, row, text, weight="bold" if row == 0 else "normal", size=10.5, **centred)


@styled
def plot_backgrounds(cams: Metrics, pseudo_masks: Metrics) -> Figure:
    """Draw the CAMs' mIoU in percent over the constant background and over alpha.

    Args:
        cams: metrics of the CAMs, with "constants" and "alphas".
        pseudo_masks: metrics of what the random walk makes of them, drawn as a line to compare with.
    """
    title = "CAMs and their background"
    if not cams["scored_images"]:
        return notice(title, NO_MASKS)
    figure = Figure(figsize=(9.6, 4.4))
    heading(figure, title, "mIoU in % of the CAMs over what the background scores")
    left = axes_at(figure, 0.62, 0.75, 4.2, 2.55)
    right = axes_at(figure, 5.17, 0.75, 4.2, 2.55, sharey=left)
    right.tick_params("y", labelleft=False)
    right.set_xscale("log", base=2)
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axes, key, label in ((left, "constants", "constant background"), (right, "alphas", "α")):
        _draw_sweep(axes, cams[key])
        axes.set_xlabel(label)
        axes.axhline(100 * pseudo_masks["miou"], color=PSEUDO_MASK[1], linewidth=1.5, linestyle=(0, (4, 3)))
    _name_line(right, pseudo_masks["miou"])
    left.set_ylim(bottom=0)
    return figure


def _draw_sweep(axes: Axes, miou: Mapping[str, float]) -> None:
    """Draw mIoU over the background; mark the best and write it above."""
    name, colour = CAM
    at = np.array(sorted((float(setting), 100 * value) for setting, value in miou.items()))
    axes.plot(*at.T, color=colour, marker="o" if len(at) < 30 else "", markersize=4.5)
    setting, best = at[at[:, 1].argmax()]
    axes.vlines(setting, 0, best, color=colour, linewidth=1, linestyle=(0, (1, 2)))
    axes.scatter(setting, best, color=colour, zorder=3, **DOT)
    axes.set_title(f"{name} {best:.1f} at {setting:g}", color=colour)


def _name_line(axes: Axes, miou: float) -> None:
    """Write at the right end of the line what the random walk makes of the CAMs."""
    name, colour = PSEUDO_MASK
    place = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
    text = f"{name} {100 * miou:.1f}"
    axes.annotate(text, (1, 100 * miou), (-2, 5), color=colour, weight="bold", size=10, **place)
