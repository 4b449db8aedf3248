"""Figures of the report: arrays and scores in, a matplotlib `Figure` or a page of HTML out."""

from wsss.figures.gallery import Exhibit, plot_gallery
from wsss.figures.history import plot_history
from wsss.figures.page import pictures, write_page
from wsss.figures.scores import plot_backgrounds, plot_scores
from wsss.figures.style import write_figure
from wsss.figures.sweep import plot_sweep
from wsss.figures.table import score_table, sweep_table

__all__ = [
    "Exhibit",
    "pictures",
    "plot_backgrounds",
    "plot_gallery",
    "plot_history",
    "plot_scores",
    "plot_sweep",
    "score_table",
    "sweep_table",
    "write_figure",
    "write_page",
]
