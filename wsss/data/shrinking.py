"""Photographs and masks that are larger than a study wants them: written once, smaller, beside its tables."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data.checks import Checked, in_parallel
from wsss.data.generated import remove_stale
from wsss.data.images import read_image
from wsss.results import replacing
from wsss.study.provenance import content_digest

FOLDER = "photographs"
"""Of the smaller photographs, of which nothing else may be in it: what is stale is removed."""

QUALITY = 95
"""Of their JPEG files."""


def fitted(height: int, width: int, longest: int) -> tuple[int, int]:
    """Height and width of an image whose longest side is at most ``longest`` pixels, each at least 1.

    Smaller images keep their size.
    """
    factor = min(1.0, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def shrunk_mask(mask: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Shrink a mask (H, W) uint8 with nearest neighbour: no value is made up."""
    height, width = fitted(mask.shape[0], mask.shape[1], longest)
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def shrink_images(
    images: Mapping[str, Path], checked: Mapping[str, Checked], longest: int, generated: Path
) -> tuple[dict[str, Path], dict[str, Checked]]:
    """Write those images smaller whose longest side exceeds ``longest`` pixels, as JPEG files.

    Args:
        images: files by id.
        checked: what is known of them, by id.
        longest: most pixels of a side.
        generated: folder of what the data set writes.

    Returns:
        Files, and what is known of them, by id; files of images that are small enough stay their own.
    """
    folder = generated / FOLDER
    paths, found = dict(images), dict(checked)
    large = {i: i for i, image in checked.items() if max(image.height, image.width) > longest}

    def shrink(image_id: str) -> Checked:
        height, width = fitted(checked[image_id].height, checked[image_id].width, longest)
        photograph = Image.fromarray(read_image(images[image_id]))
        small = photograph.resize((width, height), Image.Resampling.LANCZOS)
        encoded = BytesIO()
        small.save(encoded, "JPEG", quality=QUALITY, subsampling="4:4:4")
        content = encoded.getvalue()
        _write(folder / f"{image_id}.jpg", content)
        return Checked(height, width, content_digest(content))

    for image_id, result in in_parallel(shrink, large, "shrinking images"):
        paths[image_id], found[image_id] = folder / f"{image_id}.jpg", result
    if folder.is_dir():
        remove_stale(folder.glob("*.jpg"), large)
    return paths, found


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it is there already: a new one would count as changed."""
    if path.is_file() and path.read_bytes() == content:
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)
