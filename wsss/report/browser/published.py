"""A study's segmentation beside that of the paper's table 2, in its order, from the study's own tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from wsss.report.figures.scores import Metrics
from wsss.report.tables.layout import Row, Table, html
from wsss.report.tables.published import COLUMN_OF, SCORED_IMAGES

TABLE = "2"
"""Of the paper: segmentation on val from image-level labels."""


def beside_published(study: str, table: Path, metrics: Mapping[str, Metrics]) -> Markup:
    """Lay out the published results and the study's own, if its classes are VOC's; else nothing.

    Args:
        study: its name.
        table: the file `tables/results.tsv`, which has published rows only where classes compare.
        metrics: of the study, by artifact.
    """
    if not table.is_file():
        return Markup("")
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["table"] == TABLE]
    own = [row for row in rows if row["method"].startswith(f"{study}, ")]
    others = [row for row in rows if row not in own]
    if not own or not others:
        return Markup("")
    columns = [*COLUMN_OF.values(), "mean"]
    lines = [Row((row["method"], *(_decimal(row[name]) for name in columns))) for row in others]
    lines += [Row((study, *(_decimal(row[name]) for name in columns)), "study") for row in own]
    images = metrics["segmentation"]["scored_images"] if "segmentation" in metrics else 0
    title = "Segmentation on val beside the published, IoU in %"
    shown = Table(title, ("method", *columns), tuple(lines), _note(images))
    return Markup(html([shown]).replace("<h2>", "<h3>").replace("</h2>", "</h3>"))


def _note(images: int) -> str:
    published = f"Published: table {TABLE} of the paper, on {SCORED_IMAGES['val']:,} images."
    if images == SCORED_IMAGES["val"]:
        return f"{published} This study is scored on the same."
    return f"{published} This study is scored on {images:,}: the figures do not compare."


def _decimal(cell: str) -> str:
    return f"{float(cell):.1f}" if cell else "–"
