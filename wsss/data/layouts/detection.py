"""Which layout a folder has: a look at names, and into a few files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsss.data.class_names import is_no_class
from wsss.data.coco_annotations import SECTIONS
from wsss.data.labels.columns import EXPECTED, IMAGE_HEADERS, find_columns, plain
from wsss.data.labels.folders import has_splits, read_folders
from wsss.data.labels.named import Labels, labels_of
from wsss.data.labels.table import read_table, table_lines
from wsss.data.layouts.coco import read_coco
from wsss.data.layouts.json_files import load_json
from wsss.data.layouts.label_studio import is_label_studio, read_label_studio
from wsss.data.layouts.labelme import is_labelme, read_labelme
from wsss.data.layouts.voc import read_voc
from wsss.data.names import ImageNames, find_images, named_images, regular_files
from wsss.data.problems import Problems
from wsss.data.text import lines_of
from wsss.study.sources import SYSTEM_FOLDERS

Kind = Literal["table", "folders", "voc", "coco", "label_studio", "labelme"]

MASK_FOLDERS = frozenset(
    [
        "mask",
        "masks",
        "segmentation",
        "segmentationclass",
        "segmentationobject",
        "segmentationclasspng",
        "annotations_masks",
        "gt",
        "labels_png",
        "groundtruth",
        "ground_truth",
        "segmentations",
    ]
)
"""Names of folders that hold masks, not photographs."""

MADE_BY_US = frozenset({"results", "report"})
"""Folders of a study's results, in which there are images too."""

CLASS_LISTS = ("classes.txt", "class_names.txt", "labels.txt", "obj.names", "_darknet.labels")
"""Files with one class per line."""

TABLE_SUFFIXES = {".csv", ".tsv", ".txt"}
SPREADSHEETS = {".xlsx", ".xls", ".ods", ".numbers"}
Found = tuple[Kind, tuple[Path, ...]]
"""The kind of a layout, and where its labels are."""

LOOKED_INTO = 5
"""So many files of a kind are opened to find out what they are."""


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk.

    Attributes:
        kind: `table`, one of the annotation tools' formats, or `folders`, one per class.
        images: The folder that holds the images, in sub-folders too.
        labels: The files with the labels; for one file per image, and for `folders`, the folder.
        classes: File with one class per line, if there is one.
        masks: Folder of masks, if there is one.
    """

    kind: Kind
    images: Path
    labels: tuple[Path, ...]
    classes: Path | None = None
    masks: Path | None = None


def detect(folder: Path) -> Layout | None:
    """Find out which layout a folder has; None if it has no images, or nothing that labels them.

    Annotations of tools come first, then tables, whose names must be those of images, then folders: images of
    a labelled data set may be sorted into folders, too.
    """
    masks = next((path for path in _folders(folder) if path.name.casefold() in MASK_FOLDERS), None)
    classes = next((path for name in CLASS_LISTS if (path := folder / name).is_file()), None)
    images = find_images(folder, Problems(), _left_out(folder))
    if not images:
        return None
    found = _annotations(folder) or _table(folder, images, classes) or _class_folders(folder, images)
    if found is None:
        return None
    kind, labels = found
    base = labels[0] if kind == "folders" else _home(folder, images.values())
    return Layout(kind, base, labels, classes, masks)


def near_misses(folder: Path) -> list[str]:
    """Say of the files that may have been meant as labels why they are none, a sentence each."""
    images = find_images(folder, Problems(), _left_out(folder))
    if not images:
        return [f"{folder}: there is no image"]
    names = ImageNames(images, folder)
    said: list[str | None] = [_miss_of_json(path) for path in regular_files(folder, {".json"}, Problems())]
    example = min(path.name for path in images.values())
    said += [
        _miss_of_table(path, names, example) for path in regular_files(folder, TABLE_SUFFIXES, Problems())
    ]
    sheets = regular_files(folder, SPREADSHEETS, Problems())
    said += [f"{path}: a spreadsheet, save it as CSV" for path in sheets]
    found = [sentence for sentence in said if sentence]
    return found[:LOOKED_INTO]


def _miss_of_json(path: Path) -> str:
    problems = Problems()
    content = load_json(path, problems)
    if problems:
        return problems.lines()[0].partition(": ")[2]
    lacking = [key for key in SECTIONS if isinstance(content, dict) and key not in content]
    if isinstance(content, dict) and 0 < len(lacking) < len(SECTIONS):
        return f"{path}: has no {' and no '.join(map(repr, lacking))}, which COCO's files have"
    if content == []:
        return f"{path}: an empty list"
    return f"{path}: no file of COCO, Label Studio or labelme"


def _miss_of_table(path: Path, names: ImageNames, example: str) -> str | None:
    problems = Problems()
    lines = table_lines(path, names, problems)
    if problems:
        return problems.lines()[0].partition(": ")[2]
    if not lines or path.name in CLASS_LISTS:
        return None
    cells = " ".join(lines[0].cells).split()
    if len(cells) >= 5 and all(re.fullmatch(r"[\d.]+", cell) for cell in cells):
        return f"{path}: numbers, as YOLO writes them; export the annotations as COCO or VOC"
    if any(map(names.find, (cell for line in lines for cell in line.cells))):
        return f"{path}: expected {EXPECTED}"
    return f"{path}: names no image of the folder, such as {example}"


def read(layout: Layout) -> Labels:
    """Read images, labels and class names; what is wrong is among the problems, nothing is raised."""
    problems = Problems()
    without = _left_out(layout.images)
    match layout.kind:
        case "folders":
            return read_folders(layout.labels[0], _classes(layout, problems), problems, without)
        case "voc":
            return read_voc(layout.images, layout.labels[0], without, problems)
        case "coco":
            return read_coco(layout.images, layout.labels, without, problems)
        case "label_studio":
            return read_label_studio(layout.images, layout.labels[0], without, problems)
        case "labelme":
            return read_labelme(layout.images, layout.labels[0], without, problems)
    images, names = named_images(layout.images, problems, without)
    classes = _classes(layout, problems)
    table = read_table(layout.labels[0], names, classes, problems)
    found = {image_id: row.names for image_id, row in table.rows.items()}
    order = classes or table.columns or None
    return labels_of(images, found, problems, order, table.splits)


def _classes(layout: Layout, problems: Problems) -> list[str]:
    if layout.classes is None:
        return []
    return [name for _, name in lines_of(layout.classes, "bad class list", problems) if not is_no_class(name)]


def _class_folders(folder: Path, images: Mapping[str, Path]) -> Found | None:
    """Return the folder that holds folders of classes: two or more, with all of the images in them."""
    home = folder / "images" if (folder / "images").is_dir() else folder
    parts = [path.relative_to(home).parts[:-1] for path in images.values() if path.is_relative_to(home)]
    deep = has_splits(parts)
    classes = {part[deep] for part in parts if len(part) > deep}
    return ("folders", (home,)) if len(classes) > 1 else None


def _folders(folder: Path) -> list[Path]:
    """Return the sub-folders, the nearest first."""
    try:
        own = sorted(
            path
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.name not in SYSTEM_FOLDERS
        )
    except OSError:
        return []
    return [*own, *(path for inner in own if not inner.is_symlink() for path in _folders(inner))]


def _left_out(folder: Path) -> list[Path]:
    names = MASK_FOLDERS | MADE_BY_US
    return [path for path in _folders(folder) if path.name.casefold() in names]


def _home(folder: Path, images: Collection[Path]) -> Path:
    """Return the folder in which all images are: one below the given one, if it holds them all."""
    tops = {path.relative_to(folder).parts[0] for path in images if path.parent != folder}
    alone = len(tops) == 1 and all(path.parent != folder for path in images)
    return folder / next(iter(tops)) if alone else folder


def _annotations(folder: Path) -> Found | None:
    """Return the kind of an annotation tool's files, and these, or the folder of such per image."""
    json = list(regular_files(folder, {".json"}, Problems()))
    coco = [path for path in json if _is_coco(path)]
    if coco:
        return "coco", tuple(coco)
    for path in json[:LOOKED_INTO]:
        content = load_json(path, Problems())
        if is_label_studio(content):
            return "label_studio", (path,)
        if is_labelme(content):
            return "labelme", (_common(json),)
    xml = list(regular_files(folder, {".xml"}, Problems()))
    if any(b"<annotation" in _start(path) for path in xml[:LOOKED_INTO]):
        return "voc", (_common(xml),)
    return None


def _is_coco(path: Path) -> bool:
    """Tell whether a file has COCO's sections: they are among its first words, or it is small."""
    start = _start(path)
    if b'"images"' not in start and b'"annotations"' not in start and b'"categories"' not in start:
        return False
    if b'"shapes"' in start and b'"imagePath"' in start:
        return False
    content = load_json(path, Problems())
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _start(path: Path) -> bytes:
    """Return the first bytes of a text, without the zeros of UTF-16; none if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 16).replace(b"\0", b"")
    except OSError:
        return b""


def _common(paths: Collection[Path]) -> Path:
    parents = {path.parent for path in paths}
    return next(iter(parents)) if len(parents) == 1 else Path(os.path.commonpath(parents))


def _table(folder: Path, images: Mapping[str, Path], classes: Path | None) -> Found | None:
    """Return the table whose names are those of most images; one that cannot be read is the last choice."""
    names = ImageNames(images, folder)
    best: tuple[bool, int, Path] | None = None
    for path in regular_files(folder, TABLE_SUFFIXES, Problems()):
        faults = Problems()
        lines = table_lines(path, names, faults) if path != classes else []
        labelled = [line for line in lines if sum(map(bool, line.cells)) > 1]
        clear = bool(labelled) and not faults and find_columns(lines, names, Problems()) is not None
        named = sum(any(map(names.find, line.cells)) for line in (lines if clear else labelled))
        named += bool(faults) and bool(labelled) and plain(labelled[0].cells[0]) in IMAGE_HEADERS
        if named and (best is None or (clear, named) > best[:2]):
            best = clear, named, path
    return ("table", (best[2],)) if best else None
