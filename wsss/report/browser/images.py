"""All images of a study, and what is known of each: classes, scores, signals, and what stages made of it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.labels import class_values, value_names
from wsss.report.browser.thumbnails import LONGEST, Thumbnails, fitting
from wsss.results import (
    SIGNALS,
    Cams,
    RankedImage,
    Shards,
    image_miou,
    open_shards,
    read_cams,
    read_confusions,
    read_json,
    read_masks,
    read_ranking,
)

LabelMap = NDArray[np.uint8]

SPLITS = ("train", "val", "test")

PHOTOGRAPH, CAM, TRUTH = "photograph", "CAM", "truth"
MASKS = {"confident": "confident regions", "random_walk": "pseudo mask", "segmentation": "prediction"}
"""What the stages make of an image, by their folder of results."""

LEARNED = ("random_walk", "segmentation")
"""Of a study of several rounds, what is shown of the earlier ones too."""

SCORES = {"cams": CAM, **MASKS}
"""What is scored image by image, by the name of its table."""

SHOWN_BY_BROWSERS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
"""Other photographs are shown by their thumbnails alone."""

QUALITY = {
    "score": "trust in the pseudo mask",
    "network": "agreement with the network",
    "alpha": "agreement over α",
    "dense_crf": "agreement before the dCRF",
    "walk": "agreement with the CAMs",
    "confident": "agreement with confident regions",
    "margin": "margin of the walk",
    "contour": "margin at contours",
    "changed": "changed by the dCRF",
    "vanished": "vanished labels",
    "area": "area of all classes",
}
"""Titles of what `quality/images.tsv` says, see docs/quality.md."""


class Value(NamedTuple):
    """A number that images may have: its key, what it is called, and the number in [0, 1] by image id."""

    key: str
    title: str
    by_image: Mapping[str, float]


class Images:
    """The images of a study, those with masks to look at first on top where these were ranked, else by split.

    Attributes:
        folder: results of the study.
        last: results of its last round, whose CAMs and masks are shown.
        earlier: results of the rounds before, whose pseudo masks and predictions are shown, by their titles.
        manifest: with the true masks.
        rows: the images.
        values: what images can be sorted by, of those that any image has.
    """

    def __init__(self, folder: Path, last: Path) -> None:
        self.folder, self.last = folder, last
        self.earlier = earlier_rounds(folder, last)
        self.manifest = Manifest.read(folder / "dataset" / "manifest.tsv")
        ranking = _ranking(last)
        ranks = {image.image: image.rank for image in ranking}
        self.rows = sorted(self.manifest, key=lambda row: (ranks.get(row.id, math.inf), row.split, row.id))
        self.names = value_names(self.manifest.class_names)
        self.values = [value for value in (*self._miou(), *_signals(ranking)) if value.by_image]
        self._stack = ExitStack()
        self._shards_of = _numbers_of_shards(folder)

    def __enter__(self) -> Self:
        cams = self._shards(self.last, "cams", read_cams)
        self._cams: Shards[Cams] = self._stack.enter_context(cams)
        self._masks: dict[str, Shards[LabelMap]] = {
            title: self._stack.enter_context(self._shards(place, stage, read_masks))
            for place, stage, title in self._stages()
            if stage != "cams"
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _stages(self) -> Iterator[tuple[Path, str, str]]:
        """Results, folder and title of what is shown, in the order of the road; CAMs are the last round's."""
        for title, place in self.earlier.items():
            yield from ((place, stage, f"{MASKS[stage]}, {title}") for stage in LEARNED)
        yield from ((self.last, stage, title) for stage, title in SCORES.items())

    def _shards(self, place: Path, stage: str, reader: Any) -> Shards[Any]:
        """All shards of a stage; those of confident regions are of train, and lie in no folder of a split."""
        places = [(place / stage, "train"), *((place / stage / split, split) for split in SPLITS)]
        return open_shards([file for place in places for file in self._files(*place)], reader)

    def _files(self, folder: Path, split: str) -> list[Path]:
        """The shards in a folder, without those of a former, larger number of shards."""
        count = self._shards_of.get(split, math.inf)
        return [
            file
            for file in sorted(folder.glob("[0-9]*.*"))
            if file.suffix in (".h5", ".npz") and int(file.stem) < count
        ]

    def _miou(self) -> Iterator[Value]:
        """The mIoU of each image after each stage; of confident regions only decided pixels would count."""
        for place, stage, title in self._stages():
            table = place / "scores" / f"{stage}.tsv"
            if stage != "confident" and table.is_file():
                confusions = read_confusions(table, len(self.names))
                key = f"iou_{stage}" if place == self.last else f"iou_{stage}, {title}"
                yield Value(key, f"mIoU of the {title}", image_miou(confusions, len(self.names)))

    def views(self) -> list[str]:
        """What there is to see of any image: the photograph first, the truth last."""
        has = {title: bool(masks) for title, masks in self._masks.items()} | {CAM: bool(self._cams)}
        has_truth = any(_truth(row) for row in self.rows)
        return self._in_order(has, has_truth)

    def views_of(self, row: ImageRow) -> list[str]:
        """What there is to see of one image."""
        has = {title: row.id in masks for title, masks in self._masks.items()} | {CAM: row.id in self._cams}
        return self._in_order(has, _truth(row) is not None)

    def _in_order(self, has: Mapping[str, bool], has_truth: bool) -> list[str]:
        found = [title for _, _, title in self._stages() if has[title]]
        return [PHOTOGRAPH, *found, *([TRUTH] if has_truth else [])]

    def write_thumbnails(self, folder: Path) -> None:
        """Write the small pictures of all images, numbered in the order of `rows`.

        Raises:
            ValueError: a photograph or a true mask cannot be read, or sizes differ; the message names it.
        """
        frames = [view for view in self.views() if view not in (PHOTOGRAPH, CAM)]
        thumbnails = Thumbnails(folder, len(self.names), frames)
        for number, row in enumerate(self.rows):
            masks = {title: stored[row.id] for title, stored in self._masks.items() if row.id in stored}
            if truth := _truth(row):
                masks[TRUTH] = read_mask(truth)
            thumbnails.write(number, row.image, self._cams.get(row.id), masks)

    def plain(self, page: Path) -> list[list[Any]]:
        """What the page knows of each image, as JSON values.

        Args:
            page: folder of the page, to which links are relative.

        Returns:
            Per image: id, split, mask values of its labels, width and height of its thumbnail, whether it has
            each of `views`, its `values` to four digits or None, and links to the photograph and to the PNG
            of the pseudo mask, empty where a browser cannot show the one or the other does not exist.
        """
        views = self.views()
        return [
            [
                row.id,
                row.split,
                class_values(row.labels).tolist(),
                *fitting((row.width, row.height), LONGEST),
                [int(view in found) for view in views],
                [_rounded(value.by_image.get(row.id)) for value in self.values],
                _link(row.image, page) if row.image.suffix.lower() in SHOWN_BY_BROWSERS else "",
                self._mask_file(row, page),
            ]
            for row in self.rows
            for found in [set(self.views_of(row))]
        ]

    def _mask_file(self, row: ImageRow, page: Path) -> str:
        file = self.last / "masks" / "random_walk" / row.split / f"{row.id}.png"
        return _link(file, page) if file.is_file() else ""


def earlier_rounds(folder: Path, last: Path) -> dict[str, Path]:
    """The results of the rounds before the last, by title: `round 1`, …; none of a study of one round."""
    if last == folder:
        return {}
    found = {"round 1": folder}
    found |= {f"round {number}": folder / "rounds" / str(number) for number in range(2, int(last.name))}
    return found


def missing_photographs(rows: Sequence[ImageRow]) -> list[Path]:
    """The photographs that are not where the manifest says."""
    return [row.image for row in rows if not row.image.is_file()]


def _numbers_of_shards(folder: Path) -> dict[str, int]:
    """By split, as recorded when the data set was listed."""
    manifest = folder / "dataset" / "manifest.tsv.json"
    return dict(read_json(manifest)["config"]["shards"]) if manifest.is_file() else {}


def _ranking(last: Path) -> list[RankedImage]:
    table = last / "quality" / "images.tsv"
    return read_ranking(table) if table.is_file() else []


def _signals(ranking: Sequence[RankedImage]) -> Iterator[Value]:
    yield Value("quality", QUALITY["score"], {image.image: image.score for image in ranking})
    for name in SIGNALS:
        found = {image.image: image.signals[name] for image in ranking}
        yield Value(
            name, QUALITY[name], {key: value for key, value in found.items() if not math.isnan(value)}
        )


def _truth(row: ImageRow) -> Path | None:
    return row.mask if row.mask and row.mask.is_file() else None


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)


def _link(file: Path, page: Path) -> str:
    """A relative address; the page works from disk, wherever the folder of all results lies."""
    return quote(os.path.relpath(file, page))
