"""What the report's galleries show: a split's best and worst images, and what each stage made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest, read_image, read_mask
from wsss.method.metrics import confusion_matrix, mean_iou
from wsss.report.figures import Exhibit
from wsss.results import Cams
from wsss.stages.scores import Truth

LabelMap = NDArray[np.uint8]

FINAL = ("pseudo mask", "prediction")
"""Headings of the masks that decide on every pixel, and are scored on each image."""


class Selection(NamedTuple):
    """Images of a gallery, the names of their mask values, and what it says above them."""

    rows: tuple[ImageRow, ...]
    classes: tuple[str, ...]
    title: str
    subtitle: str


def best_and_worst(
    manifest: Manifest, split: str, mask_of: Callable[[str], LabelMap], count: int, what: str
) -> tuple[Selection, Selection]:
    """Pick a split's images with the highest mIoU of their masks, best first, and the lowest, worst first.

    No image is in both. Without true masks these are the split's first images and its last.

    Args:
        manifest: with the true masks.
        split: the images to pick from.
        mask_of: gives the mask (H, W) of an image id.
        count: the largest number of images in each selection.
        what: the masks' name, in the plural.
    """
    truth = Truth(manifest, split)
    listed = manifest if len(truth) else manifest.without_masks()
    rows = {row.id: row for row in listed.split(split)}
    miou = {
        image_id: mask_miou(mask_of(image_id), true_mask.numpy(), len(truth.classes))
        for image_id, true_mask in truth
    }
    ranked = sorted(miou, key=lambda image_id: -miou[image_id]) or list(rows)
    names = (f"Best {what}", f"Worst {what}") if miou else ("First images", "Last images")
    of = f"of {len(ranked)} {'scored ' if miou else ''}images of {split}"
    why = "by the mIoU of each" if miou else "without true masks to rank them by"
    best = ranked[: min(count, (len(ranked) + 1) // 2)]
    worst = ranked[::-1][: min(count, len(ranked) // 2)]
    first, last = (
        Selection(
            tuple(rows[image_id] for image_id in ids),
            truth.classes,
            name,
            f"{len(ids)} {of}, {why}",
        )
        for ids, name in zip((best, worst), names, strict=True)
    )
    return first, last


def mask_miou(mask: LabelMap, truth: LabelMap, n_classes: int) -> float:
    """Score one mask (H, W): mIoU over the classes that are in it or in the truth, 0 if nothing is known."""
    confusion = confusion_matrix(torch.from_numpy(mask), torch.from_numpy(truth), n_classes)
    return mean_iou(confusion).nan_to_num(0).item()


def exhibits_of(
    selection: Selection,
    masks: Mapping[str, Mapping[str, LabelMap]],
    cams: Mapping[str, Cams] | None = None,
) -> list[Exhibit]:
    """Put images beside their CAMs, masks, and true masks where there are any.

    Args:
        selection: the images.
        masks: by heading, and then by image id.
        cams: by image id.
    """
    return [
        _exhibit(
            row,
            cams[row.id] if cams is not None else None,
            {heading: of[row.id] for heading, of in masks.items()},
            len(selection.classes),
        )
        for row in selection.rows
    ]


def _exhibit(row: ImageRow, cams: Cams | None, masks: Mapping[str, LabelMap], n_classes: int) -> Exhibit:
    image = read_image(row.image)
    if row.mask is None:
        return Exhibit(row.id, image, cams, masks, {}).thinned()
    truth = read_mask(row.mask)
    miou = {heading: mask_miou(masks[heading], truth, n_classes) for heading in FINAL if heading in masks}
    return Exhibit(row.id, image, cams, {**masks, "truth": truth}, miou).thinned()
