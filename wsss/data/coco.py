"""COCO 2014 or 2017: labels from the instance annotations, and masks for scoring drawn from them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from wsss.data import coco_masks
from wsss.data.checks import Checked, check_images, list_images
from wsss.data.coco_annotations import AnnotatedImage, Annotations, read_annotations
from wsss.data.coco_masks import semantic_mask
from wsss.data.generated import remove_stale
from wsss.data.images import write_mask
from wsss.data.manifest import Manifest
from wsss.data.names import id_of
from wsss.data.problems import DatasetError, Problems
from wsss.runtime.console import progress
from wsss.study.regular import irregular
from wsss.study.sources import coco_annotations, coco_images

if TYPE_CHECKING:
    from wsss.study.config import Coco

NEEDS = "kind: coco draws masks with pycocotools, which is not installed: .venv/bin/pip install '.[coco]'"

logger = logging.getLogger(__name__)


def prepare(config: Coco, generated: Path) -> Manifest:
    """Read COCO, sorted by id: the images of train and val with at least one annotation.

    Every image is decoded once. CAMs and pseudo masks are scored on `config.scored` images of train, the
    segmentation network on all of val, in both without images of which an object has a box alone. Their
    masks are written below ``generated`` as PNG; masks that an
    earlier run drew from the same annotations are kept.

    Raises:
        DatasetError: Listing all problems of all files, or if pycocotools is missing.
    """
    if find_spec("pycocotools") is None:
        raise DatasetError(NEEDS)
    name, problems = f"data set {config.root}", Problems()
    found = {split: _read_part(config, split, problems) for split in ("train", "val")}
    located = {split: _locate(coco_images(config, split), part, problems) for split, part in found.items()}
    parts = {split: found[split]._replace(images=annotated) for split, (annotated, _) in located.items()}
    _check_agreement(parts, problems)
    problems.raise_any(name)
    images = {image_id: path for _, paths in located.values() for image_id, path in paths.items()}
    checked = check_images(images, problems)
    _check_sizes(parts, images, checked, problems)
    problems.raise_any(name)
    outlined = {split: _outlined(coco_annotations(config, split), part) for split, part in parts.items()}
    scored = {"train": chosen(outlined["train"], config.scored), "val": set(outlined["val"])}
    masks: dict[str, Path] = {}
    for split, part in parts.items():
        folder = generated / split / _digest(coco_annotations(config, split))
        remove_stale(folder.parent.glob("*"), {folder.name})  # masks drawn from other annotations
        wanted = {
            image_id: part.images[image_id]._replace(
                height=checked[image_id].height, width=checked[image_id].width
            )
            for image_id in sorted(scored[split])
        }
        masks |= _draw_masks(wanted, folder, problems)
    problems.raise_any(name)
    split_of = {image_id: split for split, part in parts.items() for image_id in part.images}
    labels = {image_id: image.labels for part in parts.values() for image_id, image in part.images.items()}
    return list_images(parts["train"].classes, split_of, labels, images, masks, scored["train"], checked)


def chosen(ids: Iterable[str], count: int) -> set[str]:
    """Choose ``count`` of the ids by a hash, independently of what the images show."""
    return set(sorted(ids, key=_position)[:count])


def _position(image_id: str) -> bytes:
    return blake2b(image_id.encode(), digest_size=8, person=b"scored").digest()


def _read_part(config: Coco, split: str, problems: Problems) -> Annotations:
    """Read the annotations of a split, without the images that have none."""
    path = coco_annotations(config, split)
    found = read_annotations(path, problems)
    annotated = {image_id: image for image_id, image in found.images.items() if image.instances}
    logger.info("%s: %d of %d images have an annotation", path, len(annotated), len(found.images))
    if found.complete and not annotated:
        problems.add("empty split", f"{path}: no image has an annotation")
    return found._replace(images=annotated)


def _outlined(path: Path, part: Annotations) -> list[str]:
    """Return the images whose masks can be drawn, and warn of the others."""
    found = [image_id for image_id, image in part.images.items() if image.outlined]
    if bare := part.images.keys() - set(found):
        logger.warning(
            "%s: %d of %d images have objects without outline (`segmentation` is empty: boxes alone, as "
            "detection exports have them). Nothing is scored on these images, e.g. %s",
            *(path, len(bare), len(part.images), min(bare)),
        )
    return found


def _check_agreement(parts: Mapping[str, Annotations], problems: Problems) -> None:
    train, val = parts["train"], parts["val"]
    if train.classes and val.classes and train.classes != val.classes:
        differing = sorted(set(train.classes) ^ set(val.classes)) or "their order"
        problems.add("bad annotations", f"the categories of train and val differ: {differing}")
    for image_id in sorted(train.images.keys() & val.images.keys()):
        problems.add("id in two splits", f"{image_id!r} is an image of train and of val")


def _locate(
    folder: Path, part: Annotations, problems: Problems
) -> tuple[dict[str, AnnotatedImage], dict[str, Path]]:
    """Find the image files: under the name in the annotations, or without folders that only lead there.

    Returns:
        The annotated images and their files, by id.
    """
    annotated: dict[str, AnnotatedImage] = {}
    paths: dict[str, Path] = {}
    if part.images and not folder.is_dir():
        problems.add("missing image", f"{folder}: there is no such folder")
        return annotated, paths
    for image in part.images.values():
        parts = PurePosixPath(image.file_name).parts
        candidates = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
        path = next(filter(Path.exists, candidates), candidates[0])
        image_id = id_of(path, folder)
        if image_id in annotated:
            problems.add("duplicate id", f"{path}: is that of {annotated[image_id].file_name}, too")
        elif wrong := irregular(path):
            said = "is listed in the annotations" if not path.is_symlink() and not path.exists() else wrong
            problems.add("missing image", f"{path}: {said}")
        else:
            annotated[image_id], paths[image_id] = image, path
    return annotated, paths


def _check_sizes(
    parts: Mapping[str, Annotations],
    images: Mapping[str, Path],
    checked: Mapping[str, Checked],
    problems: Problems,
) -> None:
    for part in parts.values():
        for image_id in sorted(part.images.keys() & checked.keys()):
            image, file = part.images[image_id], checked[image_id]
            told = image.height > 0 and image.width > 0
            if told and (image.height, image.width) != (file.height, file.width):
                sizes = f"{file.width} x {file.height}, in the annotations {image.width} x {image.height}"
                problems.add("image of another size", f"{images[image_id]}: {sizes}")


def _digest(annotations: Path) -> str:
    """Digest of what masks depend on: the annotations, and the code that draws them."""
    digest = blake2b(Path(coco_masks.__file__).read_bytes(), digest_size=8)
    with annotations.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _draw_masks(images: Mapping[str, AnnotatedImage], folder: Path, problems: Problems) -> dict[str, Path]:
    """Write the masks that do not exist yet; return the masks of all images, by id."""
    paths = {image_id: folder / f"{image_id}.png" for image_id in images}
    missing = [image_id for image_id, path in paths.items() if not path.is_file()]

    def write(image_id: str) -> str | None:
        _, height, width, instances = images[image_id]
        try:
            write_mask(paths[image_id], semantic_mask(instances, height, width))
        except ValueError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for wrong in progress(pool.map(write, missing), len(missing), label="drawing masks"):
            if wrong:
                problems.add("bad annotations", wrong)
    return paths
