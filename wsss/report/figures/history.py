"""Training curves: loss, its terms, and the learning rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wsss.report.figures.style import INK, MUTED, axes_at, heading, notice, styled

Values = NDArray[np.float64]

TERMS = {
    "loss": INK,
    "background": "#8a94a6",
    "foreground": "#0b9384",
    "different": "#d9485f",
    "displacement_foreground": "#6fbf73",
    "displacement_background": "#c2a878",
}
"""Colours of the loss, of AffinityNet's three terms, and of IRNet's two more."""

NO_LOSS = ("step", "epoch", "learning_rate", "images_per_second")
"""Columns that all trainings share; the others are the loss and its terms."""

WIDTH, LOSS, RATE, GAP, ABOVE, BELOW = 9.6, 2.2, 0.65, 0.62, 1.25, 0.7
"""Inches: the figure's width, its axes' heights, and what is between, above and below them."""

SMOOTHED = 50
"""A curve is drawn as the running mean over one part in so many, and pale below it as it is."""


@styled
def plot_history(history: Mapping[str, Values], title: str, note: str = "") -> Figure:
    """Draw a training over its epochs.

    Args:
        history: columns (rows,) of a `history.tsv`; without rows a notice stands for the curves.
        title: what was trained.
        note: what else there is to say, for the line below the title.
    """
    epochs = history["epoch"]
    if not len(epochs):
        return notice(title, "Not trained here: `weights` holds the finished network (`epochs: 0`)")
    losses = {name: values for name, values in history.items() if name not in NO_LOSS}
    figure = Figure(figsize=(WIDTH, ABOVE + LOSS + GAP + RATE + BELOW))
    length = f"{history['step'][-1]:,.0f} steps, {epochs[-1]:.3g} epochs"
    heading(figure, title, "; ".join(filter(None, [length, note])))
    upper = axes_at(figure, 0.75, BELOW + RATE + GAP, WIDTH - 1.0, LOSS)
    lower = axes_at(figure, 0.75, BELOW, WIDTH - 1.0, RATE, sharex=upper)
    _draw_losses(upper, epochs, losses)
    _draw_rate(lower, epochs, history["learning_rate"])
    return figure


def _draw_losses(axes: Axes, epochs: Values, losses: Mapping[str, Values]) -> None:
    axes.set_title("loss")
    window = max(1, len(epochs) // SMOOTHED)
    for name, values in losses.items():
        colour = TERMS.get(name, MUTED)
        if window > 1:
            axes.plot(epochs, values, color=colour, linewidth=0.7, alpha=0.3)
        marker = "o" if len(epochs) < 20 else ""
        smooth = running_mean(values, window)
        axes.plot(epochs, smooth, color=colour, label=name, marker=marker, markersize=4, clip_on=False)
    if len(losses) > 1:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=len(losses), frameon=False, fontsize=10,
            labelcolor="linecolor", handlelength=0.9, columnspacing=1.6, borderaxespad=0.3,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.tick_params("x", labelbottom=False, length=0)


def _draw_rate(axes: Axes, epochs: Values, rate: Values) -> None:
    axes.set_title("learning rate")
    axes.fill_between(epochs, rate, color="#dfe3ea", linewidth=0)
    axes.plot(epochs, rate, color="#8a94a6")
    axes.set(xlabel="epoch", xlim=(0, epochs[-1]), ylim=(0, 1.05 * rate.max()))
    axes.set_yticks([0, rate.max()], ["0", f"{rate.max():.2g}"])


def running_mean(values: Values, window: int) -> Values:
    """Average each value (rows,) with those before it, ``window`` in all, fewer at the start."""
    sums = np.cumsum(np.concatenate([np.zeros(1), values]))
    last = np.arange(1, len(sums))
    first = np.maximum(last - window, 0)
    return np.asarray((sums[last] - sums[first]) / (last - first))
