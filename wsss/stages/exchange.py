"""Folders of masks for annotation tools."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.data import read_mask
from wsss.data.exchange.labelme import write_labelme
from wsss.data.images import check_classes
from wsss.method.labels import IGNORE
from wsss.results import write_text
from wsss.stages.masks import CLASSES
from wsss.study.cells import cell_text
from wsss.study.integrity import INDEX
from wsss.study.regular import regular_text
from wsss.study.sources import photographs


class ListedMask(NamedTuple):
    """A mask, its image's id and file, and the number C of classes that it may have."""

    id: str
    file: Path
    image: Path
    n_classes: int

    def read(self) -> NDArray[np.uint8]:
        """Read the mask (H, W); raises ValueError if it is damaged or has values of no class."""
        mask = read_mask(self.file)
        check_classes(mask, self.n_classes, self.file)
        return mask


def class_list(path: Path) -> tuple[str, ...]:
    """Read class names, one per line, the first of which has the mask value 1.

    Raises:
        ValueError: there is no such file, or no class in it.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; --classes names a list of the classes, one per line")
    names = tuple(filter(None, map(str.strip, regular_text(path, marked=True).splitlines())))
    if not 0 < len(names) < IGNORE or len(set(names)) < len(names):
        raise ValueError(f"{path}: expected 1 … {IGNORE - 1} different names, one per line")
    return names


def listed_masks(folder: Path, images: Path | None, n_classes: int) -> list[ListedMask]:
    """List the masks of a folder and its sub-folders with their images, in ascending order of ids.

    Args:
        folder: of the masks, `<id>.png`.
        images: folder of the images; by default `index.tsv` beside the masks lists them.
        n_classes: the number C of classes.

    Raises:
        ValueError: there are no masks, or a mask has no image; the message names it.
    """
    masks = {image_id: path for image_id, path in photographs(folder).items() if path.suffix == ".png"}
    if not masks:
        raise ValueError(f"{folder}: no masks there, expected palette PNGs")
    of = photographs(images) if images else _listed_images(folder / INDEX)
    for image_id, path in masks.items():
        if image_id not in of:
            raise ValueError(f"{path}: no image {image_id!r} in {images or folder / INDEX}")
    return [ListedMask(image_id, path, of[image_id], n_classes) for image_id, path in masks.items()]


def write_all_labelme(out: Path, masks: Sequence[ListedMask], class_names: Sequence[str]) -> None:
    """Write `<id>.json` for each mask, and `classes.txt`, which labelme takes as its list of labels."""
    for mask in masks:
        write_labelme(out / f"{mask.id}.json", mask.read(), mask.image, class_names)
    write_text(out / CLASSES, "".join(f"{name}\n" for name in class_names))


def _listed_images(index: Path) -> Mapping[str, Path]:
    if not index.is_file():
        raise ValueError(f"{index}: no such file; --images names the folder of the photographs")
    try:
        rows = list(csv.DictReader(io.StringIO(regular_text(index), newline=""), delimiter="\t"))
    except csv.Error as error:
        raise ValueError(f"{index}: {error}") from error
    if any(not row.get("id") or not row.get("image") for row in rows):
        raise ValueError(f"{index}: lines without id or image; --images names the folder of the photographs")
    return {cell_text(row["id"]): Path(cell_text(row["image"])) for row in rows}
