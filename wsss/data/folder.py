"""A folder of images with image-level labels, read and checked completely before any training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

from wsss.data.checks import check_files, list_images
from wsss.data.lists import Labelled, read_classes, read_ids, read_labels
from wsss.data.manifest import Manifest
from wsss.data.problems import Problems
from wsss.study.sources import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from wsss.study.config import Folder

_NO_TEXT = {"Cc", "Cs"}
"""Unicode categories of control characters, and of bytes that are not UTF-8: no list can hold them."""


def prepare(config: Folder, generated: Path) -> Manifest:
    """Read a folder data set: the images that belong to a split, sorted by id.

    Every image is decoded once. CAMs and pseudo masks are scored on the images of the list ``scored``, or
    without such a list on the training images that have a mask. Nothing is written to ``generated``.

    Raises:
        DatasetError: Listing all problems of all files.
    """
    root, problems = Path(config.root), Problems()
    images = _list_images(root / config.images, problems)
    classes = read_classes(root / config.classes, problems)
    labelled = read_labels(root / config.labels, classes, images, problems)
    for image_id in sorted(images.keys() - labelled.keys()) if labelled else ():
        problems.add("image without label", f"{images[image_id]}: has no line in {root / config.labels}")
    masks = _list_masks(root / config.masks, images, problems) if config.masks is not None else {}
    splits = _read_splits(config, images, labelled, problems)
    scored = _read_scored(config, images, splits, masks, problems)
    checked = check_files(images, masks, len(classes), problems)
    problems.raise_any(f"data set {config.root}")
    labels = {image_id: found.labels for image_id, found in labelled.items()}
    return list_images(classes, splits, labels, images, masks, scored, checked)


def held_out(ids: Iterable[str], share: float) -> set[str]:
    """Choose about ``share`` of the ids, at least one, by a hash: a new image moves no other image."""
    position = {image_id: _position(image_id) for image_id in ids}
    chosen = {image_id for image_id, place in position.items() if place < share}
    return chosen or set(sorted(position, key=position.__getitem__)[:1])


def _position(image_id: str) -> float:
    digest = blake2b(image_id.encode(), digest_size=8, person=b"holdout").digest()
    return int.from_bytes(digest, "big") / 2**64


def _list_images(folder: Path, problems: Problems) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for path in _files(folder, problems):
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            if _NO_TEXT & set(map(category, path.name)):
                problems.add(
                    "unusable name", f"{path.parent}: {path.name!r} has control or undecodable characters"
                )
            if path.stem in images:
                problems.add("duplicate id", f"{path}: has the same id as {images[path.stem]}")
            images.setdefault(path.stem, path)
    if folder.is_dir() and not images:
        problems.add("missing file", f"{folder}: there is no image")
    return images


def _list_masks(folder: Path, images: Mapping[str, Path], problems: Problems) -> dict[str, Path]:
    masks = {path.stem: path for path in _files(folder, problems) if path.suffix.lower() == ".png"}
    fitting = {image_id: path for image_id, path in masks.items() if image_id in images}
    if folder.is_dir() and images and not fitting:
        problems.add("missing file", f"{folder}: no <id>.png has the id of an image; no masks: `masks: null`")
    return fitting


def _files(folder: Path, problems: Problems) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        problems.add("missing file", f"{folder}: {error.strerror}")
        return []


def _read_splits(
    config: Folder, images: Mapping[str, Path], labelled: Mapping[str, Labelled], problems: Problems
) -> dict[str, str]:
    """Return the split of each image that belongs to one, by id."""
    if config.splits is None:
        val = held_out(labelled, config.holdout)
        if labelled.keys() == val:
            problems.add(
                "empty split", f"{config.labels}: holdout {config.holdout} leaves no image for train"
            )
        return {image_id: "val" if image_id in val else "train" for image_id in labelled}
    root = Path(config.root)
    places = {
        "train": read_ids(root / config.splits.train, images, problems),
        "val": read_ids(root / config.splits.val, images, problems),
    }
    for image_id in sorted(places["train"].keys() & places["val"].keys()):
        where = " and ".join(places[split][image_id] for split in places)
        problems.add("id in two splits", f"{where}: {image_id!r}")
    for image_id, place in (places["train"] | places["val"]).items():
        if labelled and image_id not in labelled:
            problems.add("id without label", f"{place}: {image_id!r} has no line in {root / config.labels}")
    return {image_id: split for split, ids in places.items() for image_id in ids}


def _read_scored(
    config: Folder,
    images: Mapping[str, Path],
    splits: Mapping[str, str],
    masks: Mapping[str, Path],
    problems: Problems,
) -> set[str]:
    """Return the ids of the training images on which CAMs and pseudo masks are scored: none without masks."""
    train = {image_id for image_id, split in splits.items() if split == "train"}
    if config.masks is None or config.scored is None:
        return train & masks.keys()
    scored = read_ids(Path(config.root) / config.scored, images, problems)
    for image_id, place in scored.items():
        if train and image_id not in train:
            problems.add("scored id not in train", f"{place}: {image_id!r}")
        elif masks and image_id not in masks:
            problems.add("scored id without mask", f"{place}: {image_id!r} has no mask in {config.masks}")
    return set(scored)
