"""How many images a data set has, and so how many shards: Snakemake asks before it is prepared."""

from __future__ import annotations

from math import log2
from pathlib import Path

from wsss.study.config import Coco, ConfigError, Folder, Shapes, Shards, Study, Voc12
from wsss.study.config.fields import AUTO
from wsss.study.sources import SPLITS, coco_images, voc12_augmented_list, voc12_list

IMAGES_PER_SHARD = 250

FREELY = 64
"""So many shards a split may have whatever its number of images."""

VOC12 = {"train": 1464, "train_aug": 10582, "val": 1449, "test": 1456}
COCO = {2014: {"train": 82783, "val": 40504}, 2017: {"train": 118287, "val": 5000}}
"""Images of the published splits."""


def shard_count(images: int) -> int:
    """Number of shards of a split: the power of two that comes nearest to `IMAGES_PER_SHARD` images each.

    A power of two, so that new images change the number, and with it all files, only when there are half as
    many again.
    """
    return int(2 ** max(0, round(log2(max(images, 1) / IMAGES_PER_SHARD))))


def shard_counts(study: Study) -> Shards:
    """The shards of a study with numbers in place of `auto`.

    Raises:
        ConfigError: There are more shards than images, so that most jobs would have nothing to do; up to
            `FREELY` are let pass, as counting takes time.
    """
    given = dict(study.shards)
    following = [split for split, count in given.items() if count == AUTO]
    many = [split for split, count in given.items() if count != AUTO and count > FREELY]
    counts = image_counts(study.dataset) if following or many else {}
    for split in many:
        _check_count(f"shards.{split}", given[split], counts.get(split, 0), split)
    if study.predict.images and study.predict.shards > FREELY:
        there = _files(Path(study.predict.images))
        _check_count("predict.shards", study.predict.shards, there, study.predict.images)
    return study.shards.model_copy(update={split: shard_count(counts.get(split, 0)) for split in following})


def _check_count(key: str, shards: int, images: int, where: str) -> None:
    if shards > max(images, FREELY):
        raise ConfigError(
            f"{key}: {shards}, expected at most one for each of the {images} images in {where}; shards of "
            "100 to 500 images work well"
        )


def image_counts(dataset: Coco | Folder | Shapes | Voc12) -> dict[str, int]:
    """How many images each split has, counted in lists and folders without reading an image.

    That is near the number that `prepare_dataset` finds. Of VOC 2012 and COCO, what is not there counts with
    as many images as were published, because it may be downloaded; a folder that is not there has none.
    """
    if dataset.kind == "shapes":
        return {"train": dataset.train, "val": dataset.val}
    if dataset.kind == "coco":
        found = {split: _files(coco_images(dataset, split)) for split in SPLITS}
        return {split: count or COCO[dataset.year][split] for split, count in found.items()}
    return _of_voc12(dataset) if dataset.kind == "voc12" else _of_folder(dataset)


def _of_voc12(dataset: Voc12) -> dict[str, int]:
    counts = {split: _lines(voc12_list(dataset, split)) or VOC12[split] for split in ("train", "val", "test")}
    if dataset.train == "train_aug":
        ready_made = voc12_augmented_list(dataset)
        counts["train"] = _lines(ready_made) if ready_made else VOC12["train_aug"]
    return counts


def _of_folder(dataset: Folder) -> dict[str, int]:
    if dataset.splits:
        return {split: _lines(Path(dataset.root, getattr(dataset.splits, split))) for split in SPLITS}
    images = _files(Path(dataset.root, dataset.images))
    return {"train": round(images * (1 - dataset.holdout)), "val": round(images * dataset.holdout)}


def _lines(path: Path) -> int:
    """Lines of a list that are not empty; 0 without the list."""
    return sum(bool(line.strip()) for line in path.read_bytes().splitlines()) if path.is_file() else 0


def _files(folder: Path) -> int:
    """Files of a folder and of the folders in it; 0 without the folder."""
    return sum(path.is_file() for path in folder.rglob("*")) if folder.is_dir() else 0
