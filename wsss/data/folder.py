"""A folder of images with image-level labels, read and checked completely before any training."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from wsss.data.agreement import compare_masks
from wsss.data.checks import check_images, check_masks, list_images, with_known_pixels
from wsss.data.class_names import read_classes
from wsss.data.decoding import MASK_SUFFIXES
from wsss.data.labels.folders import read_folders
from wsss.data.labels.table import read_table
from wsss.data.lists import read_ids
from wsss.data.manifest import Manifest
from wsss.data.masks import mask_reader
from wsss.data.names import ImageNames, named_images, regular_files
from wsss.data.problems import DatasetError, Problems
from wsss.study.sources import LABELS_FROM_FOLDERS
from wsss.study.words import did_you_mean

if TYPE_CHECKING:
    from wsss.study.config import Folder

Labels = dict[str, tuple[int, ...]]
"""Class indices of images, ascending, by id."""

JPEG = {".jpg", ".jpeg", ".jfif"}

FEW_UNREAD = 0.1
"""Where a larger share of the masks cannot be read, the others are not compared with the labels."""

logger = logging.getLogger(__name__)


class _Labelled(NamedTuple):
    """Images by id, the classes, the labels of images that have a line, and ids that problems name already.

    `complete` tells whether there is no problem with any of these.
    """

    images: dict[str, Path]
    classes: tuple[str, ...]
    labels: Labels
    mentioned: set[str]
    complete: bool


def prepare(config: Folder, generated: Path) -> Manifest:
    """Read a folder data set: the images that belong to a split, sorted by id.

    Every image is decoded once. CAMs and pseudo masks are scored on the images of the list ``scored``, or
    without such a list on the training images that have a mask. Masks whose values or colours mean others are
    written to ``generated``.

    Raises:
        DatasetError: Listing all problems of all files.
    """
    root, problems = Path(config.root), Problems()
    if not root.is_dir():
        raise DatasetError(f"data set {config.root}: {_no_folder(root)}")
    found = _read_labels(config, problems)
    names = ImageNames(found.images, root / config.images)
    masks = _list_masks(root / config.masks, names, problems) if config.masks is not None else {}
    splits = _read_splits(config, found, names, problems)
    scored = _read_scored(config, found.images, splits, masks, problems)
    reader = mask_reader(config.palette, config.mask_values, root, found.classes, problems)
    checked = check_images(found.images, problems)
    checked_masks = check_masks(masks, checked, reader, generated, problems)
    if config.masks is not None:
        unread = len(masks.keys() & checked.keys()) - len(checked_masks.facts)
        labels = found.labels if found.complete and unread <= FEW_UNREAD * len(masks) else {}
        compare_masks(found.classes, labels, checked_masks, root / config.masks, problems)
    problems.raise_any(f"data set {config.root}")
    known = with_known_pixels(checked_masks, root / (config.masks or ""))
    scored &= known.keys()
    return list_images(found.classes, splits, found.labels, found.images, known, scored, checked)


def _no_folder(root: Path) -> str:
    """Say that the data set's folder is not there, and the likely cause."""
    if root.exists():
        return "is no folder, expected the one that holds images and labels"
    told = "; shell variables are not filled in, only ~" if "$" in str(root) else ""
    return f"there is no such folder; paths are relative to {Path.cwd()}{told}"


def held_out(ids: Iterable[str], share: float) -> set[str]:
    """Choose about ``share`` of the ids, at least one, by a hash: a new image moves no other image."""
    position = {image_id: _position(image_id) for image_id in ids}
    chosen = {image_id for image_id, place in position.items() if place < share}
    return chosen or set(sorted(position, key=position.__getitem__)[:1])


def _position(image_id: str) -> float:
    digest = blake2b(image_id.encode(), digest_size=8, person=b"holdout").digest()
    return int.from_bytes(digest, "big") / 2**64


def _read_labels(config: Folder, problems: Problems) -> _Labelled:
    """Find the images, and read their labels from a table or from the names of their folders."""
    root = Path(config.root)
    folder, faults = root / config.images, len(problems)
    without = [root / config.masks] if config.masks is not None else []
    listed = root / config.classes
    if config.labels == LABELS_FROM_FOLDERS:
        given = read_classes(listed, problems) if listed.exists() else ()
        found = read_folders(folder, given, problems, without)
        named = {image_id: (f"{found.images[image_id]}", names) for image_id, names in found.labels.items()}
        images, classes = dict(found.images), given or found.class_names
        labels = _indices(named, classes, problems)
        return _Labelled(images, classes, labels, set(), len(problems) == faults)
    images, names = named_images(folder, problems, without)
    if folder.is_dir() and not images and len(problems) == faults:
        problems.add("missing file", f"{folder}: there is no image")
    classes = read_classes(listed, problems)
    table = read_table(root / config.labels, names, classes, problems)
    labels = _indices({image_id: (*row,) for image_id, row in table.rows.items()}, classes, problems)
    for image_id in sorted(images.keys() - labels.keys() - table.mentioned) if table.complete else ():
        said = f"has no line in {root / config.labels}; none of the classes: a line with an empty label"
        problems.add("image without label", f"{images[image_id]}: {said}")
    return _Labelled(images, classes, labels, table.mentioned, len(problems) == faults)


def _indices(
    named: Mapping[str, tuple[str, Sequence[str]]], classes: Sequence[str], problems: Problems
) -> Labels:
    """Turn names, each image's with its place, into class indices; an unknown name is told once."""
    index = {name: number for number, name in enumerate(classes)}
    unknown: dict[str, list[str]] = {}
    for place, names in named.values():
        for name in names:
            if classes and name not in index:
                unknown.setdefault(name, []).append(place)
    for name, places in unknown.items():
        hint = did_you_mean(name, classes) or f", expected one of {', '.join(classes)}"
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        problems.add("unknown class", f"{places[0]}: {name!r}{hint}{more}")
    return {
        image_id: tuple(sorted({index[name] for name in names if name in index}))
        for image_id, (_, names) in named.items()
    }


def _list_masks(folder: Path, names: ImageNames, problems: Problems) -> dict[str, Path]:
    """Find the masks of images, by id: they have the image's name, and lie in sub-folders like the images."""
    masks: dict[str, Path] = {}
    others: list[Path] = []
    faults = len(problems)
    for path in regular_files(folder, MASK_SUFFIXES | JPEG, problems):
        ids = names.find(path.relative_to(folder).as_posix())
        if len(ids) == 1:
            (image_id,) = ids
            if path.suffix.lower() in JPEG:
                problems.add("unreadable mask", f"{path}: JPEG blurs the values of masks, expected PNG")
                continue
            if image_id in masks:
                problems.add("duplicate id", f"{path}: a second mask, beside {masks[image_id]}")
            masks.setdefault(image_id, path)
        else:
            others.append(path)
    if names and not masks and len(problems) == faults:
        there = (
            f", e.g. {others[0].name}, while the images are called e.g. {names.example!r}" if others else ""
        )
        said = f"no <id>.png has the id of an image{there}; no masks: `masks: null`"
        problems.add("missing file", f"{folder}: {said}")
    elif others and len(problems) == faults:
        logger.warning("%s: %d files belong to no image, e.g. %s", folder, len(others), others[0].name)
    return masks


def _read_splits(config: Folder, found: _Labelled, names: ImageNames, problems: Problems) -> dict[str, str]:
    """Return the split of each image that belongs to one, by id."""
    if config.splits is None:
        val = held_out(found.labels, config.holdout)
        if found.labels and found.labels.keys() == val:
            problems.add(
                "empty split", f"{config.labels}: holdout {config.holdout} leaves no image for train"
            )
        return {image_id: "val" if image_id in val else "train" for image_id in found.labels}
    root = Path(config.root)
    places = {
        "train": read_ids(root / config.splits.train, names, problems),
        "val": read_ids(root / config.splits.val, names, problems),
    }
    for image_id in sorted(places["train"].keys() & places["val"].keys()):
        where = " and ".join(places[split][image_id] for split in places)
        problems.add("id in two splits", f"{where}: {image_id!r}")
    for image_id, place in (places["train"] | places["val"]).items():
        if found.images and image_id not in {*found.images, *found.labels, *found.mentioned}:
            problems.add("id without image", f"{place}: there is no image {image_id!r}")
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
    names = ImageNames(images, Path(config.root) / config.images)
    scored = read_ids(Path(config.root) / config.scored, names, problems)
    for image_id, place in scored.items():
        if train and image_id not in train:
            problems.add("scored id not in train", f"{place}: {image_id!r}")
        elif masks and image_id in images and image_id not in masks:
            problems.add("scored id without mask", f"{place}: {image_id!r} has no mask in {config.masks}")
    return set(scored)
