"""From the study's section `dataset` to the list of its images, whatever their kind."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results.rows import list_files
from wsss.study.registry import DATASET_KINDS, module_name

if TYPE_CHECKING:
    from wsss.study.config import Coco, Folder, Shapes, Shards, Voc12


def prepare(config: Coco | Folder | Shapes | Voc12, generated: Path) -> Manifest:
    """List the images of a data set, after checking all of them.

    The module of the kind is loaded by name, so that a study depends on the code of its own kind only.

    Args:
        config: The study's section `dataset`.
        generated: Folder for images or masks that the data set draws; kinds that only read files ignore it.

    Raises:
        DatasetError: Listing all problems of the data set.
    """
    manifest: Manifest = import_module(module_name(DATASET_KINDS, config.kind)).prepare(config, generated)
    return manifest


def write_parts(
    manifest: Manifest, splits: Iterable[Path | str], parts: Iterable[Path | str], shards: Shards
) -> None:
    """List the images of each split, and of each of its shards, without their masks.

    Args:
        manifest: The whole data set.
        splits: Files to write, `<split>.tsv`.
        parts: Files to write, `<split>/<number of the shard>.tsv`.
        shards: The number of shards of each split.
    """
    maskless = manifest.without_masks()
    for path in map(Path, splits):
        maskless.split(path.stem).write(path)
    for path in map(Path, parts):
        split = path.parent.name
        maskless.shard(split, int(path.stem), shards[split]).write(path)


def list_drawn(manifest: Manifest, folder: Path) -> list[Path]:
    """List what a data set made below a folder, masks and tables, with digests. Images have some already.

    Args:
        manifest: The whole data set.
        folder: In which a data set draws masks, or reads some once and keeps them.

    Returns:
        The file of the list, or nothing where there is no such mask.
    """
    masks = [row.mask for row in manifest if row.mask is not None and row.mask.is_relative_to(folder)]
    tables = [path for name in ("*.txt", "*.csv", "splits/*.txt") for path in sorted(folder.glob(name))]
    return [list_files(folder, [*tables, *masks])] if masks else []
