"""Annotations in VOC's XML, one file per image, as labelImg, CVAT and others write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wsss.data.class_names import VOC_CLASSES as CLASSES
from wsss.data.labels.named import Labels, labels_of
from wsss.data.names import named_images, regular_files
from wsss.data.problems import Problems
from wsss.data.voc12_annotations import parse_annotation


def read_voc(folder: Path, annotations: Path, without: Sequence[Path], problems: Problems) -> Labels:
    """Read the classes of all objects; an annotation without objects is an image of none of the classes.

    Args:
        folder: Holds the images, in sub-folders too.
        annotations: Folder of the XML files.
        without: Sub-folders that hold masks.
        problems: Collects what is wrong.
    """
    images, names = named_images(folder, problems, without)
    found: dict[str, list[str]] = {}
    for path in regular_files(annotations, {".xml"}, problems):
        try:
            annotation = parse_annotation(path)
        except (OSError, ValueError) as error:
            problems.add("bad annotation", f"{path}: {error}")
            continue
        ids = names.find(path.stem) or names.find(annotation.file_name)
        if len(ids) == 1:
            found.setdefault(next(iter(ids)), []).extend(name for name, _ in annotation.objects)
        else:
            said = f"may be about any of {', '.join(sorted(ids)[:3])}" if ids else "its image is not there"
            problems.add("label without image", f"{path}: {said}")
    shown = {name for names_of in found.values() for name in names_of}
    of_voc = [name for name in CLASSES if name in shown]
    return labels_of(images, found, problems, of_voc if shown and shown <= set(CLASSES) else None)
