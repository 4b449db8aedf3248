"""The published results, read from the files beside this module."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).with_name("published_results.tsv")
STAGES = Path(__file__).with_name("published_stages.tsv")

COLUMN_OF = {
    "background": "bkg",
    "aeroplane": "aero",
    "bicycle": "bike",
    "bird": "bird",
    "boat": "boat",
    "bottle": "bottle",
    "bus": "bus",
    "car": "car",
    "cat": "cat",
    "chair": "chair",
    "cow": "cow",
    "diningtable": "table",
    "dog": "dog",
    "horse": "horse",
    "motorbike": "mbk",
    "person": "person",
    "pottedplant": "plant",
    "sheep": "sheep",
    "sofa": "sofa",
    "train": "train",
    "tvmonitor": "tv",
}
"""The paper's column of each VOC class, in its order, which is that of the mask values."""

SCORED_IMAGES = {"train": 1464, "val": 1449}
"""Images of VOC 2012 on which the published results are scored; 1,456 more of test have no public masks."""

Values = tuple[float | None, ...]
"""IoU in percent, None where nothing was published."""


class Published(NamedTuple):
    """One row of the paper's table 2 (val), 3 (test) or 4 (both): IoU in percent per class, and the mean."""

    table: str
    split: str
    method: str
    supervision: str
    extra_data: str
    iou: Values
    mean: float | None


class PublishedStages(NamedTuple):
    """mIoU in percent of the stages of a published system, in the order of the columns of the file."""

    system: str
    source: str
    means: Values


def read_published(path: Path | str = RESULTS) -> tuple[Published, ...]:
    """Read the rows of the paper's tables, in its order.

    Raises:
        ValueError: The columns are others than the paper's.
    """
    head, *rows = _cells(path)
    expected = [*Published._fields[:5], *COLUMN_OF.values(), "mean"]
    if head != expected:
        raise ValueError(f"{path}: found the columns {head}, expected {expected}")
    return tuple(
        Published(table, split, method, supervision, extra_data, values[:-1], values[-1])
        for table, split, method, supervision, extra_data, *cells in rows
        for values in [_values(cells)]
    )


def read_stages(path: Path | str = STAGES) -> tuple[tuple[str, ...], tuple[PublishedStages, ...]]:
    """Read the names of the stages, and the means of the published systems."""
    head, *rows = _cells(path)
    return tuple(head[2:]), tuple(
        PublishedStages(system, source, _values(cells)) for system, source, *cells in rows
    )


def _cells(path: Path | str) -> list[list[str]]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def _values(cells: list[str]) -> Values:
    return tuple(float(cell) if cell else None for cell in cells)
