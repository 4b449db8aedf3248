"""From the study's section `dataset` to the list of its images, whatever their kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data.coco import read_coco
from wsss.data.folder import read_folder
from wsss.data.manifest import Manifest
from wsss.data.shapes import draw_shapes
from wsss.data.voc12 import read_voc12

if TYPE_CHECKING:
    from wsss.study.config import Coco, Folder, Shapes, Voc12


def prepare(config: Coco | Folder | Shapes | Voc12, generated: Path) -> Manifest:
    """List the images of a data set, after checking all of them.

    Args:
        config: The study's section ``dataset``.
        generated: Folder for images or masks that the data set draws; untouched by kinds that have files.

    Raises:
        DatasetError: With all problems of the data set in one message.
    """
    if config.kind == "voc12":
        return read_voc12(config)
    if config.kind == "coco":
        return read_coco(config, generated)
    return read_folder(draw_shapes(config, generated) if config.kind == "shapes" else config)
