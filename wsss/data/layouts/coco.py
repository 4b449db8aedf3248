"""COCO's JSON, as many tools export it: categories of boxes or outlines, one file or one per split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsss.data.class_names import is_no_class
from wsss.data.coco_annotations import Annotations, read_annotations
from wsss.data.labels.named import Labels, labels_of
from wsss.data.labels.table import SPLITS
from wsss.data.names import named_images
from wsss.data.problems import Problems


def read_coco(folder: Path, files: Sequence[Path], without: Sequence[Path], problems: Problems) -> Labels:
    """Read the categories of all annotations; images without any are images of none of the classes.

    Args:
        folder: Holds the images, in sub-folders too.
        files: The JSON files; `train`, `val` or `test` in a name or folder tells the split.
        without: Sub-folders that hold masks.
        problems: Collects what is wrong.
    """
    images, names = named_images(folder, problems, without)
    found: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    classes: dict[str, None] = {}
    for path in files:
        content = read_annotations(path, problems)
        classes |= dict.fromkeys(used_classes(content))
        for image in content.images.values():
            beside = path.parent / image.file_name
            inside = beside.is_relative_to(folder)
            ids = names.find(beside.relative_to(folder).as_posix()) if inside else set()
            ids = ids or names.find(image.file_name)
            if len(ids) != 1:
                said = f"may be any of {', '.join(sorted(ids)[:3])}" if ids else "there is no such image"
                problems.add("missing image", f"{path}: {image.file_name}: {said}")
                continue
            (image_id,) = ids
            shown = [content.classes[label] for label in image.labels]
            found.setdefault(image_id, []).extend(shown)
            if split := split_of(path):
                splits[image_id] = split
    return labels_of(images, found, problems, classes, splits)


def used_classes(content: Annotations) -> list[str]:
    """Return the categories that are classes: exporters list a background, or a heading, too."""
    used = {label for image in content.images.values() for label in image.labels}
    headings = content.supercategories
    return [
        name
        for label, name in enumerate(content.classes)
        if not is_no_class(name) and (label in used or name not in headings)
    ]


def split_of(path: Path) -> str | None:
    """Return the split that the name or the folder of a file tells."""
    words = [path.parent.name, *path.stem.replace("-", "_").replace(".", "_").split("_")]
    told = (SPLITS.get(word.casefold().rstrip("0123456789")) for word in words)
    return next((split for split in told if split), None)
