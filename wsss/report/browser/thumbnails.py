"""Small pictures of all images: the photograph, and what the stages made of it as layers to lie over it.

An image has four files: `<number>.jpg`, the photograph; `<number>-cam.png`, the heat map of its CAMs; and its
masks one below the other, once per palette, `<number>-voc.png` and `<number>-safe.png`. The layers are
palette PNGs that are partly transparent, a few hundred bytes to a few thousand each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data import read_image
from wsss.method.labels import IGNORE
from wsss.report.browser.palettes import LEVELS, heat_layer, layer, palettes
from wsss.report.figures.gallery import stripes
from wsss.results import Cams

LabelMap = NDArray[np.uint8]

LONGEST, LONGEST_CAM = 256, 128
"""Pixels of the longest side of a photograph and its masks, and of its heat map; none is made larger."""

QUALITY = 80
"""Of the JPEG files."""

FASTEST = 3
"""Level of compression: higher ones take three times as long for one part in ten."""


class Thumbnails:
    """Writes the small pictures of images into a folder.

    Attributes:
        folder: where to.
        n_values: C, the number of mask values.
        frames: the names of the masks that are below each other in a file, in this order.
    """

    def __init__(self, folder: Path, n_values: int, frames: Sequence[str]) -> None:
        self.folder, self.n_values, self.frames = folder, n_values, frames
        self._layers = {name: layer(colours) for name, colours in palettes(n_values).items()}
        self._heat = heat_layer()

    def write(self, number: int, photograph: Path, cams: Cams | None, masks: Mapping[str, LabelMap]) -> None:
        """Write the pictures of one image.

        Args:
            number: of the image, the name of its files.
            photograph: its file.
            cams: its CAMs, if there are any.
            masks: those of `frames` that it has, label maps (H, W); the others are left empty.

        Raises:
            ValueError: the photograph cannot be read, or a mask has another size; the message names it.
        """
        pixels = read_image(photograph)
        for name, mask in masks.items():
            if mask.shape != pixels.shape[:2]:
                raise ValueError(f"{photograph}: has {pixels.shape[:2]} pixels, its {name} {mask.shape}")
        size = fitting(pixels.shape[1::-1], LONGEST)
        small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        small.save(self.folder / f"{number}.jpg", quality=QUALITY)
        if cams is not None:
            self._write(f"{number}-cam.png", _heat(cams.scores), self._heat)
        if masks:
            stack = np.concatenate([self._frame(masks.get(name), size) for name in self.frames])
            for name, colours in self._layers.items():
                self._write(f"{number}-{name}.png", stack, colours)

    def _frame(self, mask: LabelMap | None, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Indices of a layer (H, W) of one mask, of background alone if there is none."""
        if mask is None:
            return np.zeros(size[::-1], np.uint8)
        frame = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        unknown = np.where(stripes(frame.shape), self.n_values, min(self.n_values + 1, IGNORE))
        return np.where(frame == IGNORE, unknown, frame).astype(np.uint8)

    def _write(self, name: str, indices: NDArray[np.uint8], colours: NDArray[np.uint8]) -> None:
        image = Image.fromarray(indices)
        colours = colours[: IGNORE + 1]
        image.putpalette(colours[:, :3].tobytes())
        transparency = colours[:, 3].tobytes()
        image.save(self.folder / name, transparency=transparency, compress_level=FASTEST)


def _heat(scores: NDArray[np.float16]) -> NDArray[np.uint8]:
    """The strongest of CAMs (K, H, W) as indices of `heat_layer` (h, w)."""
    strongest = scores.max(0, initial=0).astype(np.float32)
    size = fitting(strongest.shape[::-1], LONGEST_CAM)
    small = Image.fromarray(strongest).resize(size, Image.Resampling.BILINEAR)
    return np.asarray((LEVELS - 1) * np.array(small), np.float32).round().astype(np.uint8)


def fitting(size: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Width and height of a picture that is made smaller, if need be, until its longest side fits."""
    share = min(1.0, longest / max(size))
    width, height = (max(1, round(share * side)) for side in size)
    return width, height
