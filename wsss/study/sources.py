"""The files from which a study is read: where they lie, and what of them Snakemake watches."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

from wsss.study.config import Coco, Folder, Shapes, Voc12

VOC12_IMAGES = "JPEGImages"
VOC12_ANNOTATIONS = "Annotations"
VOC12_MASKS = "SegmentationClass"
VOC12_LISTS = "ImageSets/Segmentation"
VOC12_AUGMENTED = ("train_aug", "trainaug")
"""Names under which a VOC tree may hold the list of `train_aug` ready-made."""

SBD_LISTS = ("train.txt", "val.txt")
SBD_FOLDERS = (".", "dataset", "benchmark_RELEASE/dataset")
"""Where the lists lie below SBD's root, which may be any folder of what `benchmark.tgz` holds."""

FOREIGN_SUFFIXES = (".npz", ".npy", ".png")
"""Of other systems' files, one per image: CAMs and boundary maps."""

_JPEG = {".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"}
_NETPBM = {".pbm", ".pgm", ".pnm", ".ppm"}
READ_SUFFIXES = {".avif", ".bmp", ".gif", ".png", ".tga", ".tif", ".tiff", ".webp"} | _JPEG | _NETPBM
"""Extensions of image files that can be read."""

RAW_SUFFIXES = {
    ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw",
}  # fmt: skip
"""Extensions of what a camera's sensor has seen."""

UNREAD_SUFFIXES = {".heic", ".heif", ".hif", ".jxl", ".psd"} | RAW_SUFFIXES
"""Extensions of photographs that cannot be read: passing over them would leave images out without a word."""

IMAGE_SUFFIXES = READ_SUFFIXES | UNREAD_SUFFIXES
"""Extensions of image files; other files in a folder of images are not looked at."""

SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
"""Folders that operating systems and disk stations put among files: copies, previews, what was deleted."""

CORRECTED_SUFFIXES = (".png", ".json", ".xml")
"""Of corrected masks: palette PNGs, files of labelme's, files of CVAT's."""

SPLITS = ("train", "val")

LABELS_FROM_FOLDERS = "folders"
"""In place of a table of labels: the images lie in a folder for each class."""

VOC_PALETTE = "voc"
"""In place of a file of colours: those of VOC."""


def voc12_list(config: Voc12, name: str) -> Path:
    """The official list of ids of this name."""
    return Path(config.root, VOC12_LISTS, f"{name}.txt")


def voc12_augmented_list(config: Voc12) -> Path | None:
    """The ready-made list of `train_aug` in the tree, if it has one."""
    lists = (voc12_list(config, name) for name in VOC12_AUGMENTED)
    return next((path for path in lists if path.is_file()), None)


def sbd_lists(root: Path | str) -> list[Path] | None:
    """SBD's two lists of ids, if they are there."""
    candidates = ([Path(root, folder, name) for name in SBD_LISTS] for folder in SBD_FOLDERS)
    return next((paths for paths in candidates if all(path.is_file() for path in paths)), None)


def coco_annotations(config: Coco, split: str) -> Path:
    """The instance annotations of a split."""
    return Path(config.root, "annotations", f"instances_{split}{config.year}.json")


def coco_images(config: Coco, split: str) -> Path:
    """The folder of a split's images."""
    return Path(config.root, f"{split}{config.year}")


def source_tables(dataset: Coco | Folder | Shapes | Voc12) -> list[str]:
    """The lists that a data set is read from, as far as they are there; reading says which are missing.

    Braces in names are doubled, as Snakemake would fill them in.
    """
    return [str(path) for path in _tables(dataset) if path.is_file()]


def source_images(dataset: Coco | Folder | Shapes | Voc12) -> str:
    """A data set's images, masks and annotations by name, size and time, as a short text.

    As inputs of a rule thousands of files would stand in every message.
    """
    if dataset.kind == "shapes":
        return "drawn"
    facts = sorted(fact for folder in _folders(dataset) for fact in _facts(folder))
    return _in_short(facts)


def shard_files(folder: Path | str, table: Path | str) -> list[str]:
    """Other systems' files of a shard's images, as far as they are there, in the order of the images.

    Args:
        folder: Where the files lie, `<id>` with one of `FOREIGN_SUFFIXES`, or a PNG per class.
        table: The shard's images, as `prepare_dataset` lists them.

    Raises:
        ValueError: A name holds braces, which Snakemake would fill in.
    """
    with open(table, encoding="utf-8", newline="") as file:
        classes = next(file).rstrip("\n").split("\t")[1:]
        rows = [(row["id"], row["labels"].split()) for row in csv.DictReader(file, delimiter="\t")]
    paths = []
    for image_id, labels in rows:
        paths += [existing(folder, f"{image_id}{suffix}") for suffix in FOREIGN_SUFFIXES]
        paths += [class_file(folder, image_id, int(label), classes[int(label)]) for label in labels]
    found = [str(path) for path in paths if path is not None]
    if braced := next((path for path in found if "{" in path or "}" in path), None):
        raise ValueError(f"{braced}: allowed are names without {{ and }}, which Snakemake fills in")
    return found


def existing(folder: Path | str, name: str) -> Path | None:
    """The file of a name, whose characters may be written in either of Unicode's usual forms; or None."""
    paths = (Path(folder, normalize(form, name)) for form in ("NFC", "NFD"))
    return next((path for path in paths if path.is_file()), None)


def class_file(folder: Path | str, image_id: str, index: int, name: str) -> Path | None:
    """The PNG of an image's map of one class, by the class's name or 0-based index; None if there is none."""
    names = (f"{image_id}{mark}{label}.png" for label in (name, index) for mark in "_/")
    return next((path for path in (existing(folder, name) for name in names) if path), None)


def corrected_files(folder: Path | str) -> list[str]:
    """Corrected masks in a folder and its sub-folders, in ascending order."""
    paths = (path for path in Path(folder).rglob("*") if path.suffix.lower() in CORRECTED_SUFFIXES)
    return sorted(str(path) for path in paths if path.is_file())


def photographs(folder: Path | str) -> dict[str, Path]:
    """Images in a folder and its sub-folders, by id: their path below it, without extension.

    Where two differ in their extensions alone, these belong to their ids. Hidden files are left out, and so
    is the raw file beside a photograph. Links to nothing count, so that reading them says so.
    """
    files = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    found = [
        path
        for path in without_doubles(f.relative_to(folder) for f in files if f.is_file() or f.is_symlink())
        if not path.name.startswith(".") and SYSTEM_FOLDERS.isdisjoint(path.parts)
    ]
    counts = Counter(path.with_suffix("") for path in found)
    names = {path: path if counts[path.with_suffix("")] > 1 else path.with_suffix("") for path in found}
    return {name.as_posix(): Path(folder, path) for path, name in names.items()}


def without_doubles(paths: Iterable[Path]) -> list[Path]:
    """Leave out what cannot be read where the same photograph can: a raw file beside its JPEG."""
    found = list(paths)
    readable = {path.with_suffix("") for path in found if path.suffix.lower() in READ_SUFFIXES}
    return [
        path
        for path in found
        if path.suffix.lower() not in UNREAD_SUFFIXES or path.with_suffix("") not in readable
    ]


def _tables(dataset: Coco | Folder | Shapes | Voc12) -> list[Path]:
    if dataset.kind == "voc12":
        names = ("train", "val", *(["test"] if dataset.test else []))
        official = [voc12_list(dataset, name) for name in names]
        return official if dataset.train == "train" else [*official, *_augmented(dataset)]
    if dataset.kind == "folder":
        splits = [dataset.splits.train, dataset.splits.val] if dataset.splits else []
        named = [dataset.classes, dataset.labels, dataset.scored, dataset.palette, *splits]
        words = {LABELS_FROM_FOLDERS, VOC_PALETTE}
        return [Path(dataset.root, name) for name in named if name and name not in words]
    return [coco_annotations(dataset, split) for split in SPLITS] if dataset.kind == "coco" else []


def _augmented(dataset: Voc12) -> list[Path]:
    ready_made = voc12_augmented_list(dataset)
    if ready_made:
        return [ready_made]
    return (dataset.sbd and sbd_lists(dataset.sbd)) or []


def _folders(dataset: Coco | Folder | Voc12) -> list[Path]:
    if dataset.kind == "voc12":
        return [Path(dataset.root, name) for name in (VOC12_IMAGES, VOC12_ANNOTATIONS, VOC12_MASKS)]
    if dataset.kind == "coco":
        return [coco_images(dataset, split) for split in SPLITS]
    return [Path(dataset.root, name) for name in (dataset.images, dataset.masks) if name]


def _facts(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of all files in a folder and its sub-folders; links to nothing count too."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(parent, name)
            try:
                status = os.stat(path)
            except OSError:
                status = os.lstat(path)
            yield path, status.st_size, status.st_mtime_ns


def _in_short(facts: Sequence[tuple[str, int, int]]) -> str:
    return f"{len(facts)} files, digest {blake2b(repr(facts).encode(), digest_size=8).hexdigest()}"
