"""Galleries of images as the report shows them: a figure and a page for each selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wsss.report.exhibits import LabelMap, Selection, exhibits_of
from wsss.report.figures import pictures, plot_gallery, write_figure, write_page
from wsss.results import Cams, ImageConfusion


def write_galleries(
    figures: Iterable[Path | str],
    pages: Iterable[Path | str],
    selections: Sequence[Selection],
    masks: Mapping[str, Mapping[str, LabelMap]],
    confusions: Mapping[str, Iterable[ImageConfusion]],
    cams: Mapping[str, Cams] | None = None,
) -> None:
    """Draw selections of images, each into a figure and a page that holds it.

    Args:
        figures: PNG files to write, one per selection.
        pages: HTML files to write, one per selection.
        selections: see `best_and_worst`.
        masks, confusions, cams: see `exhibits_of`.
    """
    for figure, page, selection in zip(figures, pages, selections, strict=True):
        exhibits = exhibits_of(selection, masks, confusions, cams)
        names, title, subtitle = selection.value_names, selection.title, selection.subtitle
        write_figure(figure, plot_gallery(exhibits, names, title, subtitle))
        write_page(page, title, pictures(figure))
