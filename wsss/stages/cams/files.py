"""CAMs of other systems, checked and brought into the form of this program's own.

Each module of `wsss.stages.cams.formats` reads one format, `<folder>/<id>.npy` or `.npz`, or a file per
class, whose classes are counted from 0, without the background. Maps of classes that the image does not have
are left out, as this program computes the CAMs of the image's labels alone; a label without a map is an
error.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest
from wsss.data.loading import prefetch
from wsss.method.labels import class_values
from wsss.method.resizing import bilinear
from wsss.runtime.devices import worker_count
from wsss.stages.cams import CamItem, CamsJob
from wsss.stages.cams.foreign import ForeignCams
from wsss.stages.foreign.files import find_files, naming, shortened, there
from wsss.study.config import FileCams
from wsss.study.registry import CAM_FORMATS, module_name
from wsss.study.sources import class_file

FACTS = {"network": None}

logger = logging.getLogger(__name__)


class ImportedCams(NamedTuple):
    """CAMs (K, H, W) float16 in [0, 1] of an image's labels, and what was done to get them.

    `foreign` maps of classes that the image does not have were left out, `divided` ones exceeded 1.
    """

    scores: NDArray[np.float16]
    foreign: int
    divided: int


def compute(cams: FileCams, images: Manifest, job: CamsJob) -> Iterator[CamItem]:
    """Read the CAMs of a folder, whose files become inputs of the job."""
    files = cam_files(images, cams)
    job.reads(path for paths in files.values() for path in paths)
    return import_cams(images, files, cams, workers=worker_count(job.threads))


def cam_files(images: Manifest, cams: FileCams) -> dict[str, tuple[Path, ...]]:
    """Find the file of each image that has labels, or one for each of its labels.

    Raises:
        ValueError: The folder or files are missing.
    """
    facts, what = format_module(cams.format).FACTS, f"CAMs of format {cams.format}"
    labelled = [row for row in images.rows if row.labels]
    if not facts.get("per_class"):
        found = find_files(labelled, cams.folder, facts["suffixes"], what)
        return {image_id: (path,) for image_id, path in found.items()}
    if not Path(cams.folder).is_dir():
        raise ValueError(f"{what}: there is no folder {cams.folder}")
    files, missing = {}, []
    for row in labelled:
        names = [images.class_names[label] for label in row.labels]
        paths = [
            class_file(cams.folder, row.id, label, name)
            for label, name in zip(row.labels, names, strict=True)
        ]
        missing += [f"{row.id} ({name})" for name, path in zip(names, paths, strict=True) if path is None]
        files[row.id] = tuple(path for path in paths if path is not None)
    if missing:
        raise ValueError(
            f"{what}: {cams.folder} lacks {len(missing)} maps, expected <id>_<class>.png or "
            f"<id>/<class>.png, with the name of the class or its number from 0 on: {shortened(missing)}"
            f"{there(cams.folder)}"
        )
    return files


def import_cams(
    images: Manifest, files: Mapping[str, Sequence[Path]], cams: FileCams, *, workers: int = 0
) -> Iterator[CamItem]:
    """Read the CAMs of images; an image without labels needs no file.

    Args:
        images: the images, with their labels.
        files: by image id, see `cam_files`.
        cams: the format of the files.
        workers: threads that read ahead.

    Yields:
        id, CAMs (K, H, W) float16 in [0, 1], and their mask values (K,), ascending.

    Raises:
        ValueError: naming the file that is damaged, lacks a label, has another size than the image, or values
            that are negative or not finite.
    """

    n_classes = len(images.class_names)

    def read(row: ImageRow) -> tuple[ImageRow, ImportedCams]:
        return row, (
            read_cam_files(files[row.id], row, cams.format, n_classes) if row.labels else _no_cams(row)
        )

    foreign = divided = 0
    for row, imported in prefetch(read, images.rows, workers):
        foreign, divided = foreign + bool(imported.foreign), divided + bool(imported.divided)
        yield row.id, imported.scores, class_values(row.labels)
    logger.info(
        "left out maps of classes that the image does not have, in %d of %d images", foreign, len(images)
    )
    logger.info("divided maps above 1 by their maximum, in %d of %d images", divided, len(images))


def read_cam_files(paths: Sequence[Path], row: ImageRow, format_name: str, n_classes: int) -> ImportedCams:
    """Read the CAMs of one image. Raises `ValueError`: the file, what was found, and what is expected."""
    module = format_module(format_name)
    # A full-size and a stride-4 map per class, of 8 bytes a value, is the most that any system writes.
    most_values = 2 * max(n_classes, 1) * row.height * row.width
    if not module.FACTS.get("per_class"):
        with naming(paths[0]):
            return _checked(module.read(paths[0], most_values), row, n_classes)
    maps = []
    for path in paths:
        with naming(path):
            maps.append(module.read(path, most_values))
            _check_size(maps[-1].shape, row, 1)
    return _checked(ForeignCams(np.stack(maps), row.labels), row, n_classes)


def format_module(name: str) -> Any:
    """Import the module of `wsss.stages.cams.formats` that reads a format."""
    return import_module(module_name(CAM_FORMATS, name))


def _no_cams(row: ImageRow) -> ImportedCams:
    empty: NDArray[np.float16] = np.zeros((0, row.height, row.width), np.float16)
    return ImportedCams(empty, 0, 0)


def _checked(cams: ForeignCams, row: ImageRow, n_classes: int) -> ImportedCams:
    maps, indices, stride = cams
    if maps.ndim != 3 or maps.dtype.kind != "f" or len(maps) != len(indices):
        levels = "; divide levels of 0 … 255 by 255" if maps.dtype == np.uint8 else ""
        raise ValueError(f"maps {maps.shape} {maps.dtype}, expected floats ({len(indices)}, H, W){levels}")
    if max(indices, default=0) >= n_classes:
        raise ValueError(
            f"a map of the class {max(indices)}, but the last of the {n_classes} classes is {n_classes - 1}, "
            "counted from 0: do the maps count from 1, or is one of the background?"
        )
    if len(set(indices)) < len(indices) or not set(row.labels) <= set(indices):
        one_more = {label + 1 for label in row.labels} <= set(indices)
        raise ValueError(
            f"maps of the classes {sorted(indices)[:99]}, while the image's labels are {list(row.labels)} "
            f"(both counted from 0, without background){'; do the maps count from 1?' if one_more else ''}"
        )
    chosen = maps[[indices.index(label) for label in row.labels]].astype(np.float32)
    if not np.isfinite(chosen).all():
        raise ValueError("has values that are no numbers (NaN) or infinite")
    if chosen.min() < 0:
        raise ValueError(
            f"values from {chosen.min():g} to {chosen.max():g}, expected values from 0 on: a CAM after its "
            "ReLU, or logits after a sigmoid"
        )
    full = _full_size(chosen, row, stride)
    peak = full.max((1, 2), keepdims=True)
    scores = (full / np.maximum(peak, 1)).astype(np.float16)
    foreign, divided = len(indices) - len(row.labels), int((peak > 1).sum())
    return ImportedCams(scores, foreign, divided)


def _full_size(maps: NDArray[np.float32], row: ImageRow, stride: int) -> NDArray[np.float32]:
    """Bring maps (K, h, w) of a stride to the image's size, bilinearly."""
    _check_size(maps.shape[1:], row, stride)
    return bilinear(torch.from_numpy(maps), (row.height, row.width)).numpy()


def _check_size(size: tuple[int, ...], row: ImageRow, stride: int) -> None:
    expected = -(-row.height // stride), -(-row.width // stride)
    if size != expected:
        swapped = "; height and width are swapped" if size == expected[::-1] else ""
        raise ValueError(
            f"maps of {size[0]} x {size[1]} (height x width), expected {expected[0]} x {expected[1]}, as the "
            f"image has {row.height} x {row.width} pixels{swapped}"
        )
