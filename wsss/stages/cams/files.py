"""CAMs of other systems, checked and brought into the form of this program's own.

Each module of `wsss.stages.cams.formats` reads one form of files, `<folder>/<id>.npy` or `.npz`. Classes are counted
from 0, without the background. Maps of classes that the image does not have are left out, as this program
computes the CAMs of the image's labels alone; a label without a map is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from wsss.data import ImageRow
from wsss.data.loading import prefetch
from wsss.stages.cams import formats
from wsss.stages.cams.foreign import ForeignCams
from wsss.stages.foreign.files import find_files, naming

logger = logging.getLogger(__name__)


class ImportedCams(NamedTuple):
    """CAMs (K, H, W) float16 in [0, 1] of an image's labels (K,), and what was done to get them.

    `foreign` maps of classes that the image does not have were left out, `divided` ones exceeded 1.
    """

    scores: NDArray[np.float16]
    classes: NDArray[np.int64]
    foreign: int
    divided: int


def cam_files(rows: Iterable[ImageRow], source: str, folder: Path | str) -> dict[str, Path]:
    """Find the file of each image that has labels, in the form of `source`. Raises as `find_files` does."""
    suffixes = format_module(source).FACTS["suffixes"]
    return find_files((row for row in rows if row.labels), folder, suffixes, f"CAMs of format {source}")


def import_cams(
    rows: Sequence[ImageRow], files: Mapping[str, Path], *, source: str, n_classes: int, workers: int = 0
) -> Iterator[tuple[str, NDArray[np.float16], NDArray[np.int64]]]:
    """Read the CAMs of images; an image without labels needs no file.

    Args:
        rows: the images, with their labels.
        files: by image id, see `cam_files`.
        source: name of a module of `wsss.stages.cams.formats`.
        n_classes: of the data set, without background.
        workers: threads that read ahead.

    Yields:
        id, CAMs (K, H, W) float16 in [0, 1], and their classes (K,), 0-based and ascending.

    Raises:
        ValueError: naming the file that is damaged, lacks a label, has another size than the image, or values
            that are negative or not finite.
    """

    def read(row: ImageRow) -> tuple[str, ImportedCams]:
        return row.id, read_cam_file(files[row.id], row, source, n_classes) if row.labels else _no_cams(row)

    foreign = divided = 0
    for image_id, cams in prefetch(read, rows, workers):
        foreign, divided = foreign + bool(cams.foreign), divided + bool(cams.divided)
        yield image_id, cams.scores, cams.classes
    logger.info("%d of %d images had maps of classes that they do not have: left out", foreign, len(rows))
    logger.info("%d of %d images had maps above 1: divided by their maximum", divided, len(rows))


def read_cam_file(path: Path, row: ImageRow, source: str, n_classes: int) -> ImportedCams:
    """Read the CAMs of one image. Raises `ValueError`: the file, what was found, and what is expected."""
    read = format_module(source).read
    # A full-size and a stride-4 map per class, of 8 bytes a value, is the most that any system writes.
    most_values = 2 * max(n_classes, 1) * row.height * row.width
    with naming(path):
        return _checked(read(path, most_values), row)


def format_module(name: str) -> Any:
    """Import the module of `wsss.stages.cams.formats` that reads a format."""
    return import_module(f"{formats.__name__}.{name}")


def _no_cams(row: ImageRow) -> ImportedCams:
    empty: NDArray[np.float16] = np.zeros((0, row.height, row.width), np.float16)
    return ImportedCams(empty, np.zeros(0, np.int64), 0, 0)


def _checked(cams: ForeignCams, row: ImageRow) -> ImportedCams:
    maps, classes, stride = cams
    if maps.ndim != 3 or maps.dtype.kind != "f" or len(maps) != len(classes):
        raise ValueError(f"maps {maps.shape} {maps.dtype}, expected floats ({len(classes)}, H, W)")
    if len(set(classes)) < len(classes) or not set(row.labels) <= set(classes):
        raise ValueError(
            f"maps of the classes {sorted(classes)[:99]}, while the image's labels are {list(row.labels)} "
            "(both counted from 0, without background)"
        )
    chosen = maps[[classes.index(label) for label in row.labels]].astype(np.float32)
    if not np.isfinite(chosen).all() or chosen.min() < 0:
        raise ValueError(f"values from {chosen.min()} to {chosen.max()}, expected finite ones from 0 on")
    full = _full_size(chosen, row, stride)
    peak = full.max((1, 2), keepdims=True)
    scores = (full / np.maximum(peak, 1)).astype(np.float16)
    foreign, divided = len(classes) - len(row.labels), int((peak > 1).sum())
    return ImportedCams(scores, np.array(row.labels, np.int64), foreign, divided)


def _full_size(maps: NDArray[np.float32], row: ImageRow, stride: int) -> NDArray[np.float32]:
    """Bring maps (K, h, w) of a stride to the image's size, bilinearly."""
    expected = -(-row.height // stride), -(-row.width // stride)
    if maps.shape[1:] != expected:
        raise ValueError(
            f"maps of {maps.shape[1]} x {maps.shape[2]} (height x width), expected {expected[0]} x "
            f"{expected[1]}, as the image has {row.height} x {row.width} pixels"
        )
    if stride == 1:
        return maps
    size = (row.height, row.width)
    return F.interpolate(torch.from_numpy(maps)[None], size, mode="bilinear", align_corners=False)[0].numpy()
