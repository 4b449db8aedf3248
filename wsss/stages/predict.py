"""Trained networks on new photographs: masks, overlays, and a table of what each shows."""

from __future__ import annotations

import csv
import glob
import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data import image_pixels, write_mask
from wsss.method.labels import BACKGROUND_NAME
from wsss.results import replacing, write_table
from wsss.stages.bundle.images import IMAGES_AT_ONCE, Pixels
from wsss.stages.bundle.model import ClassificationModel, ClassifiedImage, SegmentationModel, SegmentedImage
from wsss.stages.masks import CLASSES, list_masks
from wsss.study.cells import cell, cell_text
from wsss.study.integrity import INDEX
from wsss.study.regular import irregular, regular_text
from wsss.study.sources import photographs

Model = SegmentationModel | ClassificationModel
Overlay = Callable[[Pixels, Pixels], Pixels]
"""Lays a mask (H, W) over its image (H, W, 3)."""

PROBABLE = 0.5
"""A class is in an image from this probability on."""

_JPEG_QUALITY = 90
_SHARE = "share "
"""Before the names of the columns of a shard's table, which could be those of others."""

logger = logging.getLogger(__name__)


class Predicted(NamedTuple):
    """What an image shows, a line of the table.

    Attributes:
        id: of the image.
        file: the image.
        shares: of the pixels by name, background first, or the probabilities of classes; none if there is a
            problem.
        problem: why the image could not be read, or nothing.
    """

    id: str
    file: str
    shares: Mapping[str, float]
    problem: str = ""


def find_images(named: Iterable[str]) -> dict[str, Path]:
    """Find images by id: files, folders with all below them, and patterns such as `photos/*.jpg`.

    Raises:
        ValueError: something named is not there, or two images would have one id; the message names it.
    """
    found: dict[str, Path] = {}
    for name in named:
        paths = [Path(name)] if Path(name).exists() else [Path(path) for path in sorted(glob.glob(name))]
        if not paths:
            raise ValueError(f"{name}: no such file or folder")
        for path in paths:
            images = photographs(path) if path.is_dir() else {path.stem: path}
            if path.is_dir() and not images:
                raise ValueError(f"{path}: no images in this folder")
            for image_id, image in images.items():
                if found.setdefault(image_id, image) != image:
                    raise ValueError(
                        f"{found[image_id]} and {image} have the same name; give the folder that holds "
                        "both, or predict them into different folders"
                    )
    return found


def predict_files(
    model: Model, images: Mapping[str, Path], out: Path, overlay: Overlay | None = None
) -> Iterator[Predicted]:
    """Predict images, and write `masks/<id>.png` and `overlays/<id>.jpg`; a classifier writes neither.

    Args:
        model: of a bundle.
        images: files by id.
        out: folder of the masks and overlays.
        overlay: draws the overlays, if given.

    Yields:
        What each image shows, in their order; one that cannot be read has a problem instead.
    """
    remaining = iter(images.items())
    while chunk := list(islice(remaining, IMAGES_AT_ONCE)):
        pixels = {image_id: _read(path) for image_id, path in chunk}
        readable = {image_id: image for image_id, image in pixels.items() if isinstance(image, np.ndarray)}
        found: list[Any] = model.predict(list(readable.values()))
        results = dict(zip(readable, found, strict=True))
        for image_id, path in chunk:
            if image_id not in results:
                yield Predicted(image_id, str(path), {}, str(pixels[image_id]))
                continue
            result = results[image_id]
            if isinstance(result, SegmentedImage):
                _write(image_id, readable[image_id], result.mask, out, overlay)
            yield Predicted(image_id, str(path), _shares(result))


def _read(path: Path) -> Pixels | str:
    """Read an image, or say why that is not possible."""
    if wrong := irregular(path):
        return f"{path}: {wrong}"
    try:
        return image_pixels(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    except ValueError as error:
        return str(error)


def _shares(result: SegmentedImage | ClassifiedImage) -> Mapping[str, float]:
    return result.shares if isinstance(result, SegmentedImage) else result.probabilities


def _write(image_id: str, image: Pixels, mask: NDArray[np.uint8], out: Path, overlay: Overlay | None) -> None:
    write_mask(out / "masks" / f"{image_id}.png", mask)
    if overlay is not None:
        with replacing(out / "overlays" / f"{image_id}.jpg") as temporary:
            Image.fromarray(overlay(image, mask)).save(temporary, format="JPEG", quality=_JPEG_QUALITY)


def write_classes(path: Path, predicted: Iterable[Predicted], names: Sequence[str], least: float = 0) -> None:
    """Write a CSV with a line per image that was read: its classes, and the share or probability of each.

    Names that a spreadsheet would read as a formula have an apostrophe before them.

    Args:
        path: the file.
        predicted: what the images show.
        names: of the columns; `background`, if it is the first, is no class.
        least: share or probability from which on a class is listed; 0: any above 0.
    """
    classes = [name for place, name in enumerate(names) if place or name != BACKGROUND_NAME]
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "classes", *map(cell, names)])
        for image in predicted:
            if not image.problem:
                shown = [name for name in classes if _counts(image.shares[name], least)]
                shares = [f"{image.shares[name]:.4f}" for name in names]
                table.writerow([cell(image.file), cell("; ".join(shown)), *shares])


def _counts(share: float, least: float) -> bool:
    return share >= least if least else share > 0


def column_names(model: Model) -> tuple[str, ...]:
    """The columns of the table: all mask values of a segmentation network, a classifier's classes."""
    return model.value_names if isinstance(model, SegmentationModel) else model.class_names


def named_below(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Name some of the images of a folder as `photographs` does."""
    wanted = set(files)
    return {image_id: path for image_id, path in photographs(folder).items() if path in wanted}


def written(out: Path, predicted: Iterable[Predicted]) -> list[Path]:
    """The masks and overlays of images, as far as they are there."""
    ids = [image.id for image in predicted]
    places = [out / "masks" / f"{name}.png" for name in ids] + [
        out / "overlays" / f"{name}.jpg" for name in ids
    ]
    return [path for path in places if path.is_file()]


def write_shard(path: Path, predicted: Iterable[Predicted], names: Sequence[str]) -> None:
    """Write what the images of a shard show as a table, which `collect` reads."""
    rows: list[dict[str, Any]] = [
        {"id": image.id, "file": image.file, "problem": image.problem}
        | {f"{_SHARE}{name}": image.shares.get(name) for name in names}
        for image in predicted
    ]
    write_table(path, rows)


def collect(path: Path, shards: Iterable[Path]) -> list[Path]:
    """Write the table of all images of several shards, sorted by file; log those that could not be read.

    Masks and overlays of images that are in no shard any more go, and `list_masks` lists the others.

    Returns:
        The files of that list.

    Raises:
        ValueError: a shard's table is damaged; the message names the file.
    """
    predicted = sorted(
        (image for shard in shards for image in _read_shard(shard)), key=lambda image: image.file
    )
    names = next((tuple(image.shares) for image in predicted if not image.problem), ())
    write_classes(path, predicted, names)
    current = {image.id: Path(image.file) for image in predicted if not image.problem}
    list_masks(path.parent / "masks", current, names[1:])
    for folder, suffix in ((path.parent / "masks", ".png"), (path.parent / "overlays", ".jpg")):
        for file in folder.rglob(f"*{suffix}"):
            if file.relative_to(folder).as_posix().removesuffix(suffix) not in current:
                file.unlink()
    for image in predicted:
        if image.problem:
            logger.warning("not predicted: %s", image.problem)
    return [path.parent / "masks" / name for name in (CLASSES, INDEX)]


def _read_shard(path: Path) -> list[Predicted]:
    try:
        table = io.StringIO(regular_text(path), newline="")
        header, *rows = ([*map(cell_text, row)] for row in csv.reader(table, delimiter="\t"))
        return [_predicted(dict(zip(header, row, strict=True))) for row in rows]
    except (KeyError, ValueError, AttributeError, TypeError, csv.Error) as error:
        raise ValueError(f"{path}: no table of predictions: {error}") from error


def _predicted(row: Mapping[str, str]) -> Predicted:
    shares = {key: value for key, value in row.items() if key.startswith(_SHARE) and value}
    numbers = {key.removeprefix(_SHARE): float(value) for key, value in shares.items()}
    return Predicted(row["id"], row["file"], numbers, row["problem"])
