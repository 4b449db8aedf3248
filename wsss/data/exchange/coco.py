"""COCO's instances: one JSON with a region per annotation, as run lengths or as polygons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsss.data.exchange.outlines import Mask, outlines
from wsss.method.labels import BACKGROUND, IGNORE
from wsss.results import write_text


def write_coco(
    path: Path, masks: Iterable[tuple[str, Mask]], class_names: Sequence[str], *, polygons: bool = False
) -> None:
    """Write the connected regions of masks as instances; pixels of value 255 are in none.

    Args:
        path: the file, `.json`.
        masks: name of the image file, and mask (H, W) of 0 … C and 255.
        class_names: the C names; category ids are mask values.
        polygons: write outlines, which lose single pixels at borders; by default run lengths, which do not.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, mask) in enumerate(masks, start=1):
        images.append({"id": number, "file_name": name, "height": mask.shape[0], "width": mask.shape[1]})
        for region in _outlined(mask) if polygons else _regions(mask):
            annotations.append({"id": len(annotations) + 1, "image_id": number, "iscrowd": 0, **region})
    categories = [
        {"id": value, "name": name, "supercategory": ""} for value, name in enumerate(class_names, start=1)
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


def _regions(mask: Mask) -> Iterable[dict[str, Any]]:
    for value in np.unique(mask).tolist():
        if value in (BACKGROUND, IGNORE):
            continue
        labelled, count = ndimage.label(mask == value, structure=np.ones((3, 3)))
        for label in range(1, count + 1):
            inside = labelled == label
            rows, columns = np.nonzero(inside)
            left, top = int(columns.min()), int(rows.min())
            yield {
                "category_id": value,
                "segmentation": {"size": list(mask.shape), "counts": run_lengths(inside)},
                "area": int(inside.sum()),
                "bbox": [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
            }


def run_lengths(inside: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed run lengths of a region (H, W): column by column, the first run lying outside."""
    flat = inside.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


def _outlined(mask: Mask) -> Iterable[dict[str, Any]]:
    found = [outline for outline in outlines(mask) if outline.value != IGNORE]
    for (value, _), parts in groupby(found, key=lambda outline: (outline.value, outline.group)):
        rings = [np.array(part.points) for part in parts]
        corners = np.concatenate(rings)
        left, top = corners.min(0).tolist()
        right, bottom = corners.max(0).tolist()
        yield {
            "category_id": value,
            "segmentation": [ring.ravel().tolist() for ring in rings],
            "area": float(sum(map(_area, rings))),
            "bbox": [left, top, right - left, bottom - top],
        }


def _area(ring: NDArray[np.float64]) -> float:
    x, y = ring.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
