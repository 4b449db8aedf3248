"""What the report's galleries show: a split's best and worst images, and what each stage made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.labels import value_names
from wsss.report.figures import Exhibit
from wsss.results import (
    Cams,
    ImageConfusion,
    image_miou,
    open_shards,
    read_cams,
    read_confusions,
    read_masks,
)

LabelMap = NDArray[np.uint8]


HEADINGS = {"labels": "confident", "masks": "pseudo mask", "predictions": "prediction"}
"""What is shown of a training image besides its CAMs, by the name of the input."""


class Shown(NamedTuple):
    """What galleries of train show, see `exhibits_of`."""

    masks: Mapping[str, Mapping[str, LabelMap]]
    confusions: Mapping[str, list[ImageConfusion]]
    cams: Mapping[str, Cams]


@contextmanager
def shown_of_train(files: Callable[[str], Any], manifest: Manifest) -> Iterator[Shown]:
    """Open what the stages made of train, as far as there are files of it.

    Args:
        files: the files by name: shards of `cams` and of `HEADINGS`, and their scores, as `masks_table`;
            nothing for those that the study does not have.
        manifest: with the names of the classes.
    """
    n_values = len(value_names(manifest.class_names))
    with ExitStack() as stack:
        yield Shown(
            {
                heading: stack.enter_context(open_shards(shards, read_masks))
                for name, heading in HEADINGS.items()
                if (shards := files(name))
            },
            {
                heading: read_confusions(table, n_values)
                for name, heading in HEADINGS.items()
                if (table := files(f"{name}_table"))
            },
            stack.enter_context(open_shards(files("cams"), read_cams)),
        )


class Selection(NamedTuple):
    """Images of a gallery, the names of their mask values, and what it says above them."""

    rows: tuple[ImageRow, ...]
    value_names: tuple[str, ...]
    title: str
    subtitle: str


def best_and_worst(
    manifest: Manifest, split: str, images: Iterable[ImageConfusion], count: int, what: str
) -> tuple[Selection, Selection]:
    """Pick a split's images with the highest mIoU of their masks, best first, and the lowest, worst first.

    No image is in both. Where no image was scored these are the split's first images and its last.

    Args:
        manifest: with the true masks.
        split: the images to pick from.
        images: the confusions that the scoring of the masks wrote, see `read_confusions`.
        count: the largest number of images in each selection.
        what: the masks' name, in the plural.
    """
    names = value_names(manifest.class_names)
    miou = image_miou((image for image in images if image.split == split), len(names))
    listed = manifest if miou else manifest.without_masks()
    rows = {row.id: row for row in listed.split(split)}
    ranked = sorted(miou, key=lambda image_id: -miou[image_id]) or list(rows)
    titles = (f"Best {what}", f"Worst {what}") if miou else ("First images", "Last images")
    of = f"of {len(ranked)} {'scored ' if miou else ''}images of {split}"
    why = "by the mIoU of each" if miou else "without true masks to rank them by"
    best = ranked[: min(count, (len(ranked) + 1) // 2)]
    worst = ranked[::-1][: min(count, len(ranked) // 2)]
    first, last = (
        Selection(tuple(rows[image_id] for image_id in ids), names, title, f"{len(ids)} {of}, {why}")
        for ids, title in zip((best, worst), titles, strict=True)
    )
    return first, last


def first_of(manifest: Manifest, ranked: Sequence[str], count: int) -> Selection:
    """Pick the first images of train in an order that needs no true mask; their true masks if all are scored.

    Args:
        manifest: with the true masks.
        ranked: ids of images of train, those to look at first on top.
        count: the largest number of images.
    """
    rows = {row.id: row for row in manifest.split("train")}
    picked = [rows[image_id] for image_id in ranked[:count]]
    if not all(row.mask and row.scored for row in picked):
        picked = [replace(row, mask=None) for row in picked]
    subtitle = f"{len(picked)} of {len(ranked)} images of train, ranked without true masks"
    return Selection(tuple(picked), value_names(manifest.class_names), "Look at these first", subtitle)


def exhibits_of(
    selection: Selection,
    masks: Mapping[str, Mapping[str, LabelMap]],
    confusions: Mapping[str, Iterable[ImageConfusion]],
    cams: Mapping[str, Cams] | None = None,
) -> list[Exhibit]:
    """Put images beside their CAMs, masks, and true masks where there are any.

    Args:
        selection: the images.
        masks: by heading, and then by image id.
        confusions: of those masks whose mIoU is shown, by heading; images that are not among them show none.
        cams: by image id.
    """
    n_values, shown = len(selection.value_names), {row.id for row in selection.rows}
    miou = {
        heading: image_miou((image for image in images if image.image in shown), n_values)
        for heading, images in confusions.items()
    }
    return [
        _exhibit(
            row,
            cams[row.id] if cams is not None else None,
            {heading: of[row.id] for heading, of in masks.items()},
            {heading: found[row.id] for heading, found in miou.items() if row.id in found},
        )
        for row in selection.rows
    ]


def _exhibit(
    row: ImageRow, cams: Cams | None, masks: Mapping[str, LabelMap], miou: Mapping[str, float]
) -> Exhibit:
    truth = {"truth": read_mask(row.mask)} if row.mask else {}
    return Exhibit(row.id, row.photograph(), cams, {**masks, **truth}, miou).thinned()
