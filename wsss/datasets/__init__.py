"""Data sets: images with image-level labels, and masks that only the scoring reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.datasets.folder import read_folder
from wsss.datasets.images import read_image, read_mask, write_mask
from wsss.datasets.manifest import ImageRow, Manifest
from wsss.datasets.problems import DatasetError
from wsss.datasets.shapes import draw_shapes

if TYPE_CHECKING:
    from wsss.config import Folder, Shapes

__all__ = ["DatasetError", "ImageRow", "Manifest", "prepare", "read_image", "read_mask", "write_mask"]


def prepare(config: Folder | Shapes, generated: Path) -> Manifest:
    """List the images of a data set, after checking all of them.

    Args:
        config: The study's section ``dataset``.
        generated: Folder for images that the data set draws; untouched by the kind ``folder``.

    Raises:
        DatasetError: With all problems of the data set in one message.
    """
    return read_folder(draw_shapes(config, generated) if config.kind == "shapes" else config)
