"""Masks as files that people and other tools read: palette PNGs, and lists of them and of their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.data import write_mask
from wsss.results import write_text
from wsss.results.rows import write_rows
from wsss.study.integrity import INDEX
from wsss.study.provenance import file_digest

COLUMNS = ("id", "file", "digest", "image")
CLASSES = "classes.txt"
"""Beside the masks: the class names in the order of their mask values, one a line, without background."""


def export_masks(
    folder: Path,
    masks: Iterable[tuple[str, NDArray[np.uint8]]],
    images: Mapping[str, Path],
    class_names: Iterable[str],
) -> None:
    """Write `<id>.png` for each mask, and the lists of `list_masks`.

    The folder belongs to the export: PNGs of images that are gone go too.

    Args:
        folder: of the masks.
        masks: id and mask (H, W) uint8.
        images: the image of each mask, by id.
        class_names: in the order of their mask values, without background.
    """
    written = []
    for image_id, mask in masks:
        write_mask(folder / f"{image_id}.png", mask)
        written.append(image_id)
    for gone in set(folder.glob("*.png")) - {folder / f"{image_id}.png" for image_id in written}:
        gone.unlink()
    list_masks(folder, {image_id: images[image_id] for image_id in written}, class_names)


def list_masks(folder: Path, images: Mapping[str, Path], class_names: Iterable[str]) -> None:
    """Write `classes.txt` and, last, `index.tsv`: id, file and digest of each mask, and its image.

    Args:
        folder: of the masks, `<id>.png`.
        images: the image of each mask, by id.
        class_names: in the order of their mask values, without background.
    """
    write_text(folder / CLASSES, "".join(f"{name}\n" for name in class_names))
    rows = (
        (image_id, f"{image_id}.png", file_digest(folder / f"{image_id}.png"), str(image))
        for image_id, image in images.items()
    )
    write_rows(folder / INDEX, COLUMNS, rows)
