"""labelme's JSON, one file per image: labels of outlines, and flags of the image as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsss.data.labels.named import Labels, labels_of
from wsss.data.layouts.json_files import load_json
from wsss.data.names import named_images, regular_files
from wsss.data.problems import Problems


def is_labelme(content: Any) -> bool:
    """Tell whether the content of a JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def read_labelme(folder: Path, annotations: Path, without: Sequence[Path], problems: Problems) -> Labels:
    """Read labels and flags; a file without either is an image of none of the classes.

    Args:
        folder: Holds the images, in sub-folders too.
        annotations: Folder of the JSON files.
        without: Sub-folders that hold masks.
        problems: Collects what is wrong.
    """
    images, names = named_images(folder, problems, without)
    found: dict[str, list[str]] = {}
    for path in regular_files(annotations, {".json"}, problems):
        content = load_json(path, problems)
        if not is_labelme(content):
            if content is not None:
                problems.add("bad annotations", f"{path}: expected an object with `shapes` and `imagePath`")
            continue
        inner = path.relative_to(annotations).with_suffix("").as_posix()
        ids = names.find(inner) or names.find(str(content["imagePath"]))
        if len(ids) != 1:
            problems.add("missing image", f"{path}: there is no image {content['imagePath']!r:.80}")
            continue
        flags = content.get("flags")
        flagged = [name for name, on in flags.items() if on] if isinstance(flags, dict) else []
        shapes = [shape.get("label") for shape in content["shapes"] if isinstance(shape, dict)]
        found[next(iter(ids))] = [*flagged, *(label for label in shapes if isinstance(label, str))]
    return labels_of(images, found, problems)
