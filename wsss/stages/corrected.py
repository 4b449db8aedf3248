"""Corrected masks, which the segmentation network learns in place of pseudo masks: reading and checks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.data import Manifest, read_mask
from wsss.data.exchange.cvat import read_cvat
from wsss.data.exchange.labelme import read_labelme
from wsss.data.exchange.outlines import other_size
from wsss.data.images import check_classes
from wsss.data.problems import Problems

Mask = NDArray[np.uint8]
Sizes = Mapping[str, tuple[int, int]]

logger = logging.getLogger(__name__)


def corrected_masks(folder: Path, files: Sequence[Path], images: Manifest) -> Iterator[tuple[str, Mask]]:
    """Read the corrected masks of training images, one after the other.

    `<id>.png` holds mask values, `<id>.json` is a file of labelme's, and an `.xml` a file of CVAT's with the
    shapes of many images. Files for labelme whose shapes nobody changed are left out, and so are CVAT's
    images that are none of train, or without any shape.

    Args:
        folder: below which an image's id is the path of its file, without extension.
        files: the files.
        images: of train.

    Yields:
        id and mask (H, W) uint8 of 0 … C, and 255 where unknown.

    Raises:
        DatasetError: once all are read; it lists every file that is damaged, of another size than its image,
            of no training image, or with a value or a class that is not known.
    """
    sizes = {row.id: (row.height, row.width) for row in images}
    problems, sources = Problems(), dict[str, Path]()
    unchanged = 0
    for image_id, path, found in _read(folder, files, sizes, images.class_names):
        if isinstance(found, Exception):
            problems.add("mask that cannot be used", str(found))
        elif image_id not in sizes:
            problems.add("mask of no training image", f"{path}: train has no image {image_id!r}")
        elif found is None:
            unchanged += 1
        elif image_id in sources:
            problems.add("two masks of an image", f"{path}: {image_id!r} is also in {sources[image_id]}")
        else:
            sources[image_id] = path
            yield image_id, found
    problems.raise_any(f"segmenter.corrected: {folder}")
    logger.info(
        "corrected masks: %d of %d images of train; %d files of labelme's are left out: nobody changed them",
        len(sources),
        len(images),
        unchanged,
    )


def _read(
    folder: Path, files: Sequence[Path], sizes: Sizes, class_names: Sequence[str]
) -> Iterator[tuple[str, Path, Mask | Exception | None]]:
    """Yield id, file, and mask, what is wrong with it, or None if nobody changed it."""
    for path in files:
        image_id = path.relative_to(folder).with_suffix("").as_posix()
        try:
            if path.suffix.lower() == ".xml":
                for name, found in read_cvat(path, sizes, class_names):
                    yield name, path, found
            elif image_id not in sizes:
                yield image_id, path, None
            elif path.suffix.lower() == ".json":
                labelled = read_labelme(path, sizes[image_id], class_names)
                yield image_id, path, None if labelled.unchanged else labelled.mask
            else:
                yield image_id, path, _checked(path, sizes[image_id], len(class_names))
        except (ValueError, OSError) as error:
            yield image_id, path, error


def _checked(path: Path, size: tuple[int, int], n_classes: int) -> Mask:
    mask = read_mask(path)
    if mask.shape != size:
        raise ValueError(f"{path}: {other_size((mask.shape[0], mask.shape[1]), size)}")
    check_classes(mask, n_classes, path)
    return mask
