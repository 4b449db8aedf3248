"""One folder of images per class."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from wsss.data.class_names import is_unlabelled
from wsss.data.labels.named import Labels, labels_of
from wsss.data.labels.table import SPLITS
from wsss.data.names import find_images, same_form
from wsss.data.problems import Problems

logger = logging.getLogger(__name__)


def read_folders(
    folder: Path, classes: Sequence[str], problems: Problems, without: Sequence[Path] = ()
) -> Labels:
    """Read images whose folder is their class: `cat/a.jpg`, or below splits `train/cat/a.jpg`.

    Folders called `background` or `none` hold images of none of the classes, those called `unlabeled` images
    without a label. The same file in the folders of two classes is one image of both.

    Args:
        folder: Holds the folders.
        classes: Class names in the order of mask values if they are known; else that of the alphabet.
        problems: Collects what is wrong.
        without: Sub-folders that hold masks.
    """
    images = find_images(folder, problems, without)
    inside = {image_id: path.relative_to(folder).parts[:-1] for image_id, path in images.items()}
    deep = has_splits(inside.values())
    found: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    unlabelled: list[str] = []
    for image_id, parts in inside.items():
        if len(parts) <= deep:
            problems.add("image without label", f"{images[image_id]}: is in no folder of a class")
            continue
        name = same_form(parts[deep].strip())
        if is_unlabelled(name) and name not in classes:
            unlabelled.append(image_id)
            continue
        found[image_id] = [name]
        if deep:
            splits[image_id] = SPLITS[parts[0].casefold()]
    for first, *others in _copies({image_id: images[image_id] for image_id in found}):
        for other in others:
            found[first] += found.pop(other)
            splits.pop(other, None)
    if unlabelled:
        where = images[unlabelled[0]].parent
        logger.warning(
            "%d images have no label, as their folder says, and are left out: %s", len(unlabelled), where
        )
    left_out = inside.keys() - found.keys() - set(unlabelled)
    kept = {image_id: path for image_id, path in images.items() if image_id not in left_out}
    return labels_of(kept, found, problems, classes or None, splits)


def has_splits(folders: Collection[tuple[str, ...]]) -> bool:
    """Tell whether all images lie in folders called train, val or test, and there in others."""
    return bool(folders) and all(len(parts) > 1 and parts[0].casefold() in SPLITS for parts in folders)


def _copies(images: Mapping[str, Path]) -> list[list[str]]:
    """Return the ids of files of one name and content, each group in ascending order."""
    by_name: dict[tuple[str, int], list[str]] = defaultdict(list)
    for image_id, path in images.items():
        by_name[path.name, path.stat().st_size].append(image_id)
    by_content: dict[tuple[str, bytes], list[str]] = defaultdict(list)
    for (name, _), ids in by_name.items():
        for image_id in ids if len(ids) > 1 else ():
            by_content[name, images[image_id].read_bytes()].append(image_id)
    return [sorted(ids) for ids in by_content.values() if len(ids) > 1]
