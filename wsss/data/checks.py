"""Checks that all kinds of data sets share: every image and mask is decoded once, before any training."""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wsss.data.images import decode_image, read_mask
from wsss.data.manifest import ImageRow, Manifest
from wsss.data.problems import Problems
from wsss.method.labels import IGNORE
from wsss.runtime import progress


class Checked(NamedTuple):
    """Size in pixels of a decoded image, and the digest of its file."""

    height: int
    width: int
    digest: str


def check_files(
    images: Mapping[str, Path], masks: Mapping[str, Path], n_classes: int, problems: Problems
) -> dict[str, Checked]:
    """Decode every image, and its mask where it has one.

    Args:
        images: Image files by id.
        masks: Mask files by id, for some of these images.
        n_classes: Number of classes C; masks may hold the values 0 … C and 255. 0: values are not checked.
        problems: Collects the problems found.

    Returns:
        Size and digest by id, without the images that cannot be read.
    """
    checked: dict[str, Checked] = {}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        results = pool.map(lambda image_id: _check(images[image_id], masks.get(image_id), n_classes), images)
        shown = progress(results, len(images), label="checking images")
        for image_id, (found, wrong) in zip(images, shown, strict=True):
            for kind, message in wrong:
                problems.add(kind, message)
            if found is not None:
                checked[image_id] = found
    return checked


def _check(image: Path, mask: Path | None, n_classes: int) -> tuple[Checked | None, list[tuple[str, str]]]:
    """Decode an image and its mask; return its size and digest, and its problems as (kind, message)."""
    try:
        content = image.read_bytes()
        height, width = decode_image(content, image).shape[:2]
    except OSError as error:
        return None, [("unreadable image", f"{image}: {error.strerror}")]
    except ValueError as error:
        return None, [("unreadable image", str(error))]
    found = Checked(height, width, blake2b(content, digest_size=16).hexdigest())
    return found, [] if mask is None else list(_check_mask(mask, found, n_classes))


def _check_mask(path: Path, image: Checked, n_classes: int) -> Iterator[tuple[str, str]]:
    try:
        mask = read_mask(path)
    except (OSError, ValueError) as error:
        yield "unreadable mask", str(error)
        return
    height, width = mask.shape
    if (height, width) != (image.height, image.width):
        sizes = f"{width} x {height} pixels, but its image has {image.width} x {image.height}"
        yield "mask of another size", f"{path}: {sizes}"
    unknown = [value for value in np.unique(mask).tolist() if value > n_classes and value != IGNORE]
    if n_classes and unknown:
        expected = f"expected 0 … {n_classes} and {IGNORE}"
        yield "mask with an unknown class", f"{path}: values {unknown}, {expected}"


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
        checked: Result of `check_files`.
    """
    rows = (
        ImageRow(
            id=image_id,
            image=images[image_id],
            mask=masks.get(image_id),
            split=splits[image_id],
            scored=image_id in scored,
            labels=labels.get(image_id, ()),
            **checked[image_id]._asdict(),
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
        logging.getLogger(__name__).warning("no training image has the label: %s", ", ".join(absent))
