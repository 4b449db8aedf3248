"""PASCAL VOC 2012: the official lists, image-level labels from the annotations, masks for scoring.

`train_aug`, the usual training set, is the union of SBD's two lists and VOC's train, without VOC's val. VOC
itself has the images and annotations of all of them. SBD's own masks are read for full supervision alone:
nothing is scored on them.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data.agreement import compare_masks
from wsss.data.checks import check_images, check_masks, list_images, with_known_pixels
from wsss.data.class_names import VOC_CLASSES as CLASSES
from wsss.data.lists import read_ids
from wsss.data.manifest import Manifest
from wsss.data.masks import MaskReader
from wsss.data.names import ImageNames
from wsss.data.problems import Problems
from wsss.data.sbd_masks import find_masks
from wsss.data.shrinking import shrink_images, shrunk_mask
from wsss.data.voc12_annotations import read_annotations
from wsss.method.labels import BACKGROUND, IGNORE, class_values
from wsss.study.sources import (
    SBD_LISTS,
    VOC12_ANNOTATIONS,
    VOC12_AUGMENTED,
    VOC12_IMAGES,
    VOC12_LISTS,
    VOC12_MASKS,
    sbd_lists,
    voc12_augmented_list,
    voc12_list,
)

if TYPE_CHECKING:
    from wsss.study.config import Voc12

FOLDERS = (VOC12_IMAGES, VOC12_ANNOTATIONS, VOC12_MASKS, VOC12_LISTS)
IMAGE_COUNTS = {"train": 1464, "train_aug": 10582, "val": 1449, "test": 1456}
"""Number of images in the official lists, and in the usual `train_aug`."""

TEST_ADVICE = (
    "the test images are in a separate archive, VOC2012test.tar, which registered users download from the "
    "evaluation server: unpack it over this VOCdevkit, or set `test: false`"
)

Places = dict[str, str]
"""Place of each image id, as file:line."""

logger = logging.getLogger(__name__)


def prepare(config: Voc12, generated: Path) -> Manifest:
    """Read VOC 2012, sorted by id; CAMs and pseudo masks are scored on the official train list.

    Every image and every mask is decoded once. Test images have neither labels nor masks. Masks that are
    MATLAB files, or that have other classes than VOC or another size, are written below ``generated`` as
    PNGs, smaller photographs as JPEG files.

    Raises:
        DatasetError: Listing all problems of all files, or if a download fails.
    """
    if config.download:
        from wsss.data.voc12_download import download_missing

        download_missing(config)
    root, problems = Path(config.root), Problems()
    _check_root(root, problems)
    problems.raise_any(f"data set {root}")
    official_train = read_list(voc12_list(config, "train"), problems)
    splits = _read_splits(config, official_train, problems)
    names = config.classes or CLASSES
    annotations = {
        image_id: root / VOC12_ANNOTATIONS / f"{image_id}.xml"
        for image_id in sorted(splits["train"] | splits["val"])
    }
    labels = read_annotations(annotations, config.difficult, problems)
    if config.classes or config.showing:
        splits, labels = _only(names, config.showing or names, splits, labels)
        for split in (split for split, ids in splits.items() if not ids):
            shown = " or ".join(config.showing or names)
            problems.add("no images", f"{root}: no image of {split} shows {shown}")
    images = _find_images(root, splits, problems)
    scored = splits["train"].keys() & official_train.keys()
    masks = _find_masks(root, scored | splits["val"].keys(), problems)
    if config.full_masks:
        masks |= find_masks(
            Path(config.full_masks), splits["train"].keys() - masks.keys(), generated, problems
        )
    checked = check_images(images, problems)
    resized = partial(shrunk_mask, longest=config.size) if config.size else None
    checked_masks = check_masks(masks, checked, _reader(names), generated, problems, resized=resized)
    compare_masks(names, labels, checked_masks, root / VOC12_MASKS, problems)
    problems.raise_any(f"data set {root}")
    if config.size:
        images, checked = shrink_images(images, checked, config.size, generated)
    known = with_known_pixels(checked_masks, root / VOC12_MASKS)
    split_of = {image_id: split for split, ids in splits.items() for image_id in ids}
    return list_images(names, split_of, labels, images, known, scored & known.keys(), checked)


def _only(
    names: Sequence[str],
    showing: Sequence[str],
    splits: dict[str, Places],
    labels: Mapping[str, tuple[int, ...]],
) -> tuple[dict[str, Places], dict[str, tuple[int, ...]]]:
    """Keep the images that show one of the classes ``showing``, and of their labels those of ``names``.

    Images whose annotation could not be read are left out as well: that is a problem already.
    """
    shown = {image_id: {CLASSES[label] for label in found} for image_id, found in labels.items()}
    kept = {image_id for image_id, classes in shown.items() if classes & set(showing)}
    logger.info(
        "%d of %d images show %s; the others are left out", len(kept), len(labels), " or ".join(showing)
    )
    index = {name: number for number, name in enumerate(names)}
    return (
        {
            split: {image_id: place for image_id, place in ids.items() if image_id in kept}
            for split, ids in splits.items()
        },
        {i: tuple(sorted(index[name] for name in shown[i] if name in index)) for i in sorted(kept)},
    )


def _reader(names: Sequence[str]) -> MaskReader:
    """Reads VOC's masks; pixels of classes that the study does not have are void."""
    if tuple(names) == CLASSES:
        return MaskReader()
    of_voc = [int(value) for value in class_values(range(len(CLASSES)))]
    others = dict.fromkeys(of_voc, IGNORE) | {BACKGROUND: BACKGROUND, IGNORE: IGNORE}
    own = {of_voc[CLASSES.index(name)]: int(class_values([index])[0]) for index, name in enumerate(names)}
    return MaskReader(by_value=others | own)


def read_list(path: Path, problems: Problems) -> Places:
    """Read the ids of a list: the first word of each line, which is an id or the path of its image."""
    lines = read_ids(path, ImageNames({}, path.parent), problems)
    return {Path(line.split()[0]).stem: place for line, place in lines.items()}


def _check_root(root: Path, problems: Problems) -> None:
    missing = [name for name in FOLDERS if not (root / name).is_dir()]
    if not missing:
        return
    message = f"{root}: expected the folders {', '.join(FOLDERS)}; "
    message += f"missing {', '.join(missing)}" if root.is_dir() else "there is no such folder"
    around = (root / "VOC2012", root / "VOCdevkit" / "VOC2012", root.parent, root.parent / "VOC2012")
    for folder in around:
        if all((folder / name).is_dir() for name in FOLDERS):
            problems.add("not the root of VOC 2012", f"{message}, did you mean {folder}?")
            return
    advice = "" if root.is_dir() else "; `download: true` downloads it"
    problems.add("not the root of VOC 2012", message + advice)


def _read_splits(config: Voc12, official_train: Places, problems: Problems) -> dict[str, Places]:
    """Read the ids of each split; an id in two splits is a problem."""
    splits = {"train": official_train, "val": read_list(voc12_list(config, "val"), problems)}
    if config.train == "train_aug":
        splits["train"] = _read_train_aug(config, splits, problems)
    if config.test:
        splits["test"] = _read_test(voc12_list(config, "test"), problems)
    for split, ids in splits.items():
        _expect_count(config.train if split == "train" else split, ids)
    for one, other in combinations(splits, 2):
        for image_id in sorted(splits[one].keys() & splits[other].keys()):
            where = f"{splits[one][image_id]} and {splits[other][image_id]}"
            problems.add("id in two splits", f"{where}: {image_id!r}")
    return splits


def _read_train_aug(config: Voc12, official: dict[str, Places], problems: Problems) -> Places:
    """Read `train_aug` from the list in the tree, or merge it from SBD's lists and VOC's."""
    ready_made = voc12_augmented_list(config)
    if ready_made:
        logger.info("train_aug: read from %s", ready_made)
        return read_list(ready_made, problems)
    of_sbd = sbd_lists(config.sbd) if config.sbd else None
    if of_sbd is None:
        lists = " nor ".join(str(voc12_list(config, name)) for name in VOC12_AUGMENTED)
        sbd = f"`sbd`, {config.sbd}, has no {' and '.join(SBD_LISTS)}" if config.sbd else "`sbd` is null"
        problems.add("no list of train_aug", f"{config.root}: there is neither {lists}, and {sbd}")
        return {}
    logger.info("train_aug: union of %s and VOC's train, without VOC's val", " and ".join(map(str, of_sbd)))
    sbd_train, sbd_val = (read_list(path, problems) for path in of_sbd)
    merged = sbd_train | sbd_val | official["train"]
    return {image_id: place for image_id, place in merged.items() if image_id not in official["val"]}


def _read_test(path: Path, problems: Problems) -> Places:
    if path.is_file():
        return read_list(path, problems)
    problems.add("no test images", f"{path}: there is no such list; {TEST_ADVICE}")
    return {}


def _expect_count(name: str, ids: Collection[str]) -> None:
    if ids and len(ids) != IMAGE_COUNTS[name]:
        logger.warning("%s has %d images, the official list %d", name, len(ids), IMAGE_COUNTS[name])


def _find_images(root: Path, splits: dict[str, Places], problems: Problems) -> dict[str, Path]:
    """Find the image files, by id. Missing test images count as one problem: they are a separate download."""
    images: dict[str, Path] = {}
    for split, places in splits.items():
        found, missing = _find(root / VOC12_IMAGES, places, ".jpg")
        images |= found
        if missing and split == "test":
            example = (
                f"{len(missing)} of the {len(places)} images of test are missing, e.g. {missing[0].name}"
            )
            problems.add("no test images", f"{missing[0].parent}: {example}; {TEST_ADVICE}")
            continue
        for path in missing:
            problems.add("missing image", f"{path}: is listed at {places[path.stem]}")
    return dict(sorted(images.items()))


def _find_masks(root: Path, ids: Iterable[str], problems: Problems) -> dict[str, Path]:
    found, missing = _find(root / VOC12_MASKS, ids, ".png")
    for path in missing:
        problems.add(
            "missing mask", f"{path}: images of the official train and val lists need it for scoring"
        )
    return found


def _find(folder: Path, ids: Iterable[str], suffix: str) -> tuple[dict[str, Path], list[Path]]:
    """Return the files that exist, by id, and the missing ones."""
    paths = {image_id: folder / f"{image_id}{suffix}" for image_id in sorted(ids)}
    found = {image_id: path for image_id, path in paths.items() if path.is_file()}
    return found, [path for image_id, path in paths.items() if image_id not in found]
