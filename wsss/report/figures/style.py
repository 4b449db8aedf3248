"""What all figures of the report share: colours, type, and how they become files."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wsss.results import replacing

INK, MUTED, FAINT, PAPER = "#1f2430", "#6b7280", "#e5e7eb", "#ffffff"

DOTS_PER_INCH = 200
"""Twice what a screen shows."""

styled = rc_context(
    {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
        "font.size": 11,
        "text.color": INK,
        "text.parse_math": False,  # a class or an image may have a $ in its name
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": "#b8bec8",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.8,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "ytick.major.size": 0,
        "lines.linewidth": 2,
        "lines.solid_capstyle": "round",
        "figure.facecolor": PAPER,
    }
)
"""Decorator of functions that draw: matplotlib's settings while they run."""


def heading(figure: Figure, title: str, subtitle: str = "") -> None:
    """Write a title, and a line below it, into the upper left corner."""
    height = figure.get_figheight()
    figure.text(0.2 / figure.get_figwidth(), 1 - 0.2 / height, title, size=15, weight="bold", va="top")
    figure.text(0.2 / figure.get_figwidth(), 1 - 0.52 / height, subtitle, size=10.5, color=MUTED, va="top")


def axes_at(
    figure: Figure, left: float, bottom: float, width: float, height: float, **options: object
) -> Axes:
    """Add axes at a place given in inches from the lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), **options)


def notice(title: str, text: str) -> Figure:
    """Draw a figure that says why there is nothing to see."""
    figure = Figure(figsize=(9.6, 1.8))
    heading(figure, title)
    figure.text(0.5, 0.32, text, ha="center", size=12, color=MUTED)
    return figure


@styled  # ticks and their labels are made when they are drawn
def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as PNG, under a temporary name until it is whole."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
