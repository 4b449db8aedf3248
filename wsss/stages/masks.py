"""Masks as files that people and other tools read: one palette PNG per image, and a list of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.data import write_mask
from wsss.results import replacing
from wsss.study.provenance import file_digest

COLUMNS = ("id", "file", "digest")


def export_masks(index: Path, masks: Iterable[tuple[str, NDArray[np.uint8]]]) -> None:
    """Write `<id>.png` beside `index` for each (id, mask (H, W) uint8), and last the index, tab-separated.

    The folder belongs to the export: PNGs of images that are gone go too.
    """
    rows = []
    for image_id, mask in masks:
        png = index.with_name(f"{image_id}.png")
        write_mask(png, mask)
        rows.append((image_id, png.name, file_digest(png)))
    for gone in set(index.parent.glob("*.png")) - {index.with_name(name) for _, name, _ in rows}:
        gone.unlink()
    with replacing(index) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *rows])
