"""Figures of the report: arrays and scores in, a matplotlib `Figure` or a page of HTML out."""

from wsss.report.figures.gallery import Exhibit, plot_gallery
from wsss.report.figures.history import plot_history
from wsss.report.figures.page import pictures, write_page
from wsss.report.figures.quality import quality_table
from wsss.report.figures.scores import plot_backgrounds, plot_scores
from wsss.report.figures.style import write_figure
from wsss.report.figures.sweep import plot_sweep
from wsss.report.figures.table import score_table, sweep_table

__all__ = [
    "Exhibit",
    "pictures",
    "plot_backgrounds",
    "plot_gallery",
    "plot_history",
    "plot_scores",
    "plot_sweep",
    "quality_table",
    "score_table",
    "sweep_table",
    "write_figure",
    "write_page",
]
