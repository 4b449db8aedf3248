"""The data set of the default study: scenes drawn from a seed into an ordinary folder data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from wsss.data.folder import prepare as read_folder
from wsss.data.generated import remove_stale
from wsss.data.images import palette_image
from wsss.data.manifest import Manifest
from wsss.data.scenes import CLASSES, draw_scene
from wsss.method.labels import BACKGROUND, IGNORE, value_names
from wsss.runtime.console import progress
from wsss.study.config import Folder, Shapes

SPLITS = ("train", "val")
JPEG_QUALITY = 92


def prepare(config: Shapes, generated: Path) -> Manifest:
    """Draw the scenes into the folder ``generated``, and read them as a folder data set."""
    return read_folder(draw_shapes(config, generated), generated)


def draw_shapes(config: Shapes, folder: Path) -> Folder:
    """Draw scenes, masks, labels and splits into ``folder``; return the configuration that reads them.

    Image k of a split depends on seed, split, k and size alone, so a larger data set starts with the images
    of a smaller one.
    """
    for name in ("images", "masks", "splits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    scenes = {
        f"{split}_{index:05d}": (config.seed, number, index)
        for number, split in enumerate(SPLITS)
        for index in range(getattr(config, split))
    }
    remove_stale((*folder.glob("images/*_*.jpg"), *folder.glob("masks/*_*.png")), scenes)
    labels = ["image,labels"]
    for name, seed in progress(scenes.items(), len(scenes), label="drawing scenes"):
        labels.append(f"{name},{_draw(folder, name, seed, config.size)}")
    _write_lines(folder / "labels.csv", labels)
    _write_lines(folder / "classes.txt", CLASSES)
    for split in SPLITS:
        _write_lines(
            folder / "splits" / f"{split}.txt", [name for name in scenes if name.startswith(f"{split}_")]
        )
    splits = {split: f"splits/{split}.txt" for split in SPLITS}
    return Folder.model_validate({"kind": "folder", "root": str(folder), "masks": "masks", "splits": splits})


def _draw(folder: Path, name: str, seed: Sequence[int], size: int) -> str:
    """Draw one scene and return its labels."""
    photograph, mask = draw_scene(np.random.default_rng(seed), size)
    jpeg = folder / "images" / f"{name}.jpg"
    Image.fromarray(photograph).save(jpeg, quality=JPEG_QUALITY, subsampling="4:4:4")
    palette_image(mask).save(folder / "masks" / f"{name}.png")
    names = value_names(CLASSES)
    return " ".join(names[value] for value in np.unique(mask) if value not in (BACKGROUND, IGNORE))


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
