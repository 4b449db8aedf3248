"""Checks that all kinds of data sets share: every image and mask is decoded once, before any training."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from wsss.data.decoding import stored_size, swaps_sides
from wsss.data.generated import remove_stale
from wsss.data.images import decode_image, read_mask, turned_like, write_mask
from wsss.data.manifest import ImageRow, Manifest
from wsss.data.masks import MaskFacts, MaskReader, facts_of
from wsss.data.problems import Problems, printable
from wsss.method.labels import IGNORE
from wsss.runtime.console import progress
from wsss.study.provenance import content_digest
from wsss.study.regular import irregular, regular_bytes

Task = TypeVar("Task")
Found = TypeVar("Found")

CONVERTED = "converted"
"""Folder of masks that were written anew, of which nothing else may be in it: what is stale is removed."""

FLAT = 3
"""Grey levels between the darkest and the brightest pixel of an image that shows nothing."""

logger = logging.getLogger(__name__)


class Checked(NamedTuple):
    """Size in pixels of a decoded image, the digest of its file, and its EXIF orientation."""

    height: int
    width: int
    digest: str
    orientation: int = 1


class CheckedMasks(NamedTuple):
    """Files with the mask values of images, and what is in them, by id."""

    paths: dict[str, Path]
    facts: dict[str, MaskFacts]


def with_known_pixels(masks: CheckedMasks, where: Path | str) -> dict[str, Path]:
    """Return the masks, by image id, on which something can be scored; warn of those that are all void."""
    void = sorted(image_id for image_id, facts in masks.facts.items() if facts.counts.keys() <= {IGNORE})
    if void:
        logger.warning(
            "%s: every pixel of %d of %d masks is %d, void: nothing is scored on these images, e.g. %s",
            *(where, len(void), len(masks.paths), IGNORE, void[0]),
        )
    return {image_id: path for image_id, path in masks.paths.items() if image_id not in set(void)}


class Wrong(NamedTuple):
    """A problem: its kind, and the message."""

    kind: str
    message: str


def check_images(images: Mapping[str, Path], problems: Problems) -> dict[str, Checked]:
    """Decode every image, given by id; return what is known of those that can be read."""
    checked: dict[str, Checked] = {}
    flat = []
    for image_id, found in in_parallel(_check_image, images, "checking images"):
        if isinstance(found, str):
            problems.add("unreadable image", found)
        else:
            checked[image_id], levels = found
            flat += [images[image_id]] if levels <= FLAT else []
    if flat:
        logger.warning(
            "%d images show next to nothing: all pixels are alike, e.g. %s",
            len(flat),
            printable(str(flat[0])),
        )
    return checked


def _check_image(path: Path) -> tuple[Checked, int] | str:
    """Decode an image; return what is known of it and its range of grey levels, or what is wrong."""
    if wrong := irregular(path):
        return f"{path}: {wrong}"
    try:
        content = regular_bytes(path)
        pixels, orientation = decode_image(content, path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    except ValueError as error:
        return str(error)
    height, width = pixels.shape[:2]
    return Checked(height, width, content_digest(content), orientation), int(np.ptp(pixels))


def check_masks(
    masks: Mapping[str, Path],
    checked: Mapping[str, Checked],
    reader: MaskReader,
    generated: Path,
    problems: Problems,
    *,
    resized: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> CheckedMasks:
    """Decode every mask of an image that could be read, and compare the sizes.

    Where the file is not yet what every later stage can read, because its values or colours mean others,
    because it lies as its photograph is stored and not as its EXIF orientation turns it, or because its path
    holds braces, which Snakemake would fill in, the mask is written below ``generated``; and always at the
    size that ``resized`` gives it, if the data set resizes its images.
    """
    images = {image_id: checked[image_id] for image_id in masks if image_id in checked}
    lying = _lying(masks, images)
    folder = generated / CONVERTED
    paths: dict[str, Path] = {}
    facts: dict[str, MaskFacts] = {}

    def check(image_id: str) -> tuple[Path, MaskFacts] | Wrong:
        path, image = masks[image_id], images[image_id]
        if wrong := irregular(path):
            return Wrong("unreadable mask", f"{path}: {wrong}")
        try:
            mask = reader.read(path)
            found = facts_of(path, mask)
        except (OSError, ValueError) as error:
            return Wrong("unreadable mask", str(error))
        turned = turned_like(mask, image.orientation) if image_id in lying else mask
        if turned.shape != (image.height, image.width):
            sizes = _sizes(mask.shape[1], mask.shape[0], image)
            return Wrong("mask of another size", f"{path}: {sizes}")
        if resized or reader.converts or image_id in lying or set("{}") & set(str(path)):
            fitting = resized(turned) if resized else turned
            path = written(folder / f"{quote(image_id, safe=' ')}.png", fitting)
        return path, found

    for image_id, result in in_parallel(check, {image_id: image_id for image_id in images}, "checking masks"):
        if isinstance(result, Wrong):
            problems.add(*result)
        else:
            paths[image_id], facts[image_id] = result
    if folder.is_dir():
        remove_stale(folder.glob("*.png"), {path.stem for path in paths.values() if path.parent == folder})
    if lying:
        logger.warning(
            "turned %d masks as the EXIF orientation turns their photographs, e.g. %s", len(lying), min(lying)
        )
    return CheckedMasks(paths, facts)


def _sizes(width: int, height: int, image: Checked) -> str:
    """Say that a mask has another size than its image, and what may have happened."""
    said = f"{width} x {height} pixels, but its image has {image.width} x {image.height}"
    if (width, height) == (image.height, image.width):
        return f"{said}: height and width are swapped, turn it or transpose it"
    if abs(width * image.height - height * image.width) < max(width, height, image.width, image.height):
        return f"{said}: resize it, with nearest neighbour and no smoothing"
    return said


def _lying(masks: Mapping[str, Path], images: Mapping[str, Checked]) -> set[str]:
    """Return the ids of masks that lie as their photographs are stored, before these are turned upright.

    The sizes tell where the orientation makes height of width. They tell it for photographs that are turned
    by 180 degrees or mirrored, too: the same tool made all masks.
    """
    turned = {image_id for image_id, image in images.items() if image.orientation != 1}
    sizes = {i: stored_size(masks[i]) for i in turned if swaps_sides(images[i].orientation)}
    upright = {i for i, size in sizes.items() if size == (images[i].height, images[i].width)}
    lying = {i for i, size in sizes.items() if size == (images[i].width, images[i].height)}
    if lying - upright:
        return lying - upright if upright - lying else turned
    unclear = turned - upright
    if unclear and not upright:
        logger.warning(
            "%d photographs with a mask are turned by their EXIF orientation, e.g. %s: their masks are taken "
            "as turned already, which the sizes do not tell",
            *(len(unclear), min(unclear)),
        )
    return set()


def written(path: Path, mask: NDArray[np.uint8]) -> Path:
    """Write a mask unless the file has it already: a new file would count as changed."""
    if not path.is_file() or not np.array_equal(read_mask(path), mask):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(path, mask)
    return path


def in_parallel(
    check: Callable[[Task], Found], tasks: Mapping[str, Task], label: str
) -> Iterator[tuple[str, Found]]:
    """Yield each task's id and result, in order, while a few threads work."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        results = pool.map(check, tasks.values())
        yield from zip(tasks, progress(results, len(tasks), label=label), strict=True)


def list_images(
    classes: Sequence[str],
    splits: Mapping[str, str],
    labels: Mapping[str, tuple[int, ...]],
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    scored: Container[str],
    checked: Mapping[str, Checked],
) -> Manifest:
    """Build the manifest, sorted by id, of images that have passed all checks.

    Args:
        classes: Class names in the order of their mask values.
        splits: Split by image id; these are the images that are listed.
        labels: 0-based class indices by image id; images without an entry have no label.
        images: Image files by id.
        masks: Mask files by id, for some images.
        scored: Ids of the training images on which CAMs and pseudo masks are scored.
        checked: Result of `check_images`.
    """
    rows = (
        ImageRow(
            id=image_id,
            image=images[image_id],
            mask=masks.get(image_id),
            split=splits[image_id],
            scored=image_id in scored,
            labels=labels.get(image_id, ()),
            height=checked[image_id].height,
            width=checked[image_id].width,
            digest=checked[image_id].digest,
        )
        for image_id in sorted(splits)
    )
    manifest = Manifest(tuple(classes), tuple(rows))
    _warn_about_absent_classes(manifest)
    return manifest


def _warn_about_absent_classes(manifest: Manifest) -> None:
    """Log the classes that no training image has, if any."""
    present = {label for row in manifest.split("train") for label in row.labels}
    absent = [name for label, name in enumerate(manifest.class_names) if label not in present]
    if absent:
        logger.warning("no training image has the label: %s", ", ".join(absent))
