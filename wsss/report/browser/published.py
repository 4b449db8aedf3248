"""A study's segmentation beside that of the paper's table 2, in its order, from the study's own tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from wsss.report.figures.scores import Metrics
from wsss.report.rendering import demoted
from wsss.report.tables.layout import Row, Table, html
from wsss.report.tables.published import SCORED_IMAGES, Published

TABLE = "2"
"""Of the paper: segmentation on val from image-level labels."""

METHOD, FIRST = Published._fields.index("method"), len(Published._fields) - 2
"""Columns of the file: the method's, and the first of the classes'."""


def beside_published(study: str, table: Path, metrics: Mapping[str, Metrics]) -> Markup:
    """Lay out the published results and the study's own, if its classes are VOC's; else nothing.

    Args:
        study: its name.
        table: the file `tables/results.tsv`, which has published rows only where classes compare.
        metrics: of the study, by artifact.
    """
    if not table.is_file():
        return Markup("")
    with table.open(encoding="utf-8", newline="") as file:  # by place: two columns are called "table"
        head, *rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    listed = [row for row in rows if row[0] == TABLE]
    own = [row for row in listed if row[METHOD].startswith(f"{study}, ")]
    others = [row for row in listed if row not in own]
    if not own or not others:
        return Markup("")
    lines = [Row((row[METHOD], *map(_decimal, row[FIRST:]))) for row in others]
    lines += [Row((study, *map(_decimal, row[FIRST:])), "study") for row in own]
    images = metrics["segmentation"]["scored_images"] if "segmentation" in metrics else 0
    title = "Segmentation on val beside the published, IoU in %"
    shown = Table(title, ("method", *head[FIRST:]), tuple(lines), _note(images))
    return demoted(html([shown]))


def _note(images: int) -> str:
    published = f"Published: table {TABLE} of the paper, on {SCORED_IMAGES['val']:,} images."
    if images == SCORED_IMAGES["val"]:
        return f"{published} This study is scored on the same."
    return f"{published} This study is scored on {images:,}: the figures do not compare."


def _decimal(cell: str) -> str:
    return f"{float(cell):.1f}" if cell else "–"
