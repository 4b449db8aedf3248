"""Transforms of an image, and of its label map, before a network sees them.

Images are (H, W, 3) uint8 RGB, label maps (H, W) uint8. All random numbers come from the
``numpy.random.Generator`` passed in: a sample depends on its seed, not on the worker that makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from wsss.method.labels import IGNORE
from wsss.method.resizing import scaled_size
from wsss.study.options import Padding

Pixels = NDArray[np.uint8]
Normalize = Callable[[Tensor], Tensor]
"""Maps RGB images (..., 3, H, W) in [0, 1] to a network's input, such as `wsss.models.Normalization`."""

Jitter = tuple[float, float, float, float]
"""Largest change of brightness, contrast and saturation (shares) and of hue (turns of the colour circle)."""


class Span(NamedTuple):
    """One side of a crop: ``extent`` pixels of the image from ``start`` on, at ``place`` in the crop."""

    start: int
    place: int
    extent: int


@dataclass(frozen=True)
class TrainTransform:
    """Random scale, crop, mirroring and colours: a new random view of an image at each call.

    Attributes:
        crop_size: side of the square crop in pixels, after scaling.
        scale: lowest and highest scaling factor.
        jitter: largest changes of the colours.
        normalization: the network's normalisation, applied last.
        flip: mirror half of the views.
        padding: colour around an image that is smaller than the crop.
        longest_side: the longest side is resized to this many pixels before scaling; None: not resized.
        grid: side of a cell in pixels that no crop cuts through: crops start at cell borders of the image,
            and smaller images are placed at cell borders of the crop.
    """

    crop_size: int
    scale: tuple[float, float]
    jitter: Jitter
    normalization: Normalize
    flip: bool = True
    padding: Padding = "mean"
    longest_side: int | None = None
    grid: int = 1

    def __call__(
        self, image: Pixels, labels: Pixels | None, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Make a view of ``image`` (H, W, 3) and ``labels`` (H, W).

        Returns:
            The image, (3, crop_size, crop_size) float32, and its labels, (crop_size, crop_size) uint8 with
            255 outside the image, or None without labels.

        Raises:
            ValueError: the labels and the image differ in size.
        """
        if labels is not None and labels.shape != image.shape[:2]:
            raise ValueError(f"labels of shape {labels.shape} for an image of shape {image.shape}")
        size = scaled_size(image.shape[:2], self._factor(image.shape[:2], rng))
        rows, columns = (random_span(side, self.crop_size, rng, self.grid) for side in size)
        step = -1 if self.flip and rng.random() < 0.5 else 1
        place = _place(rows), _place(columns)
        if step < 0 and self.grid > 1:  # the cells are mirrored with the image
            place = place[0], slice(self.crop_size - place[1].stop, self.crop_size - place[1].start)
        view = scaled_crop(image, size, rows, columns, Image.Resampling.BICUBIC)[:, ::step]
        canvas = self._empty()
        canvas[:, *place] = normalised(colour_jitter(view, self.jitter, rng), self.normalization)
        if labels is None:
            return canvas, None
        seen = scaled_crop(labels, size, rows, columns, Image.Resampling.NEAREST)[:, ::step]
        label_canvas = torch.full((self.crop_size, self.crop_size), IGNORE, dtype=torch.uint8)
        label_canvas[place] = _tensor(seen)
        return canvas, label_canvas

    def _factor(self, size: Sequence[int], rng: np.random.Generator) -> float:
        factor = rng.uniform(*self.scale)
        return factor if self.longest_side is None else factor * self.longest_side / max(size)

    def _empty(self) -> Tensor:
        """A crop that is all padding."""
        canvas = torch.zeros(3, self.crop_size, self.crop_size)  # normalised, the mean colour is 0
        return canvas if self.padding == "mean" else canvas + self.normalization(torch.zeros(3, 1, 1))


def normalised(image: Pixels, normalization: Normalize) -> Tensor:
    """Return an image (H, W, 3) uint8 as a network's input, (3, H, W) float32."""
    return normalization(_tensor(image).permute(2, 0, 1).float() / 255)


def scaled(image: Pixels, factor: float) -> Pixels:
    """Resize an image (H, W, 3) by a factor, bicubic with antialiasing."""
    return _resized(image, factor, Image.Resampling.BICUBIC)


def scaled_labels(labels: Pixels, factor: float) -> Pixels:
    """Resize a label map (H, W) by a factor; each pixel takes the nearest label."""
    return _resized(labels, factor, Image.Resampling.NEAREST)


def random_span(side: int, crop_size: int, rng: np.random.Generator, grid: int = 1) -> Span:
    """Cut a random span of ``crop_size`` pixels out of a longer side, or place a shorter side at random.

    Start and place are multiples of ``grid``.
    """
    slack = side - crop_size
    offset = grid * int(rng.integers(abs(slack) // grid + 1))
    return Span(offset, 0, crop_size) if slack > 0 else Span(0, offset, side)


def scaled_crop(
    image: Pixels, size: tuple[int, int], rows: Span, columns: Span, resampling: Image.Resampling
) -> Pixels:
    """Resize to ``size`` (height, width) and crop, computing only the pixels of the crop."""
    height, width = image.shape[:2]
    down, across = height / size[0], width / size[1]
    left, right = columns.start * across, (columns.start + columns.extent) * across
    top, bottom = rows.start * down, (rows.start + rows.extent) * down
    box = (left, top, min(right, width), min(bottom, height))
    return np.asarray(Image.fromarray(image).resize((columns.extent, rows.extent), resampling, box=box))


def colour_jitter(image: Pixels, strengths: Jitter, rng: np.random.Generator) -> Pixels:
    """Change brightness, contrast, saturation and hue of an image (H, W, 3) randomly and in random order.

    Like torchvision's ``ColorJitter``: factors are uniform in [max(0, 1 - s), 1 + s], turns of the hue in
    [-s, s].
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    for change in rng.permutation(len(strengths)):
        strength = strengths[change]
        if strength == 0:
            continue
        if change == _HUE:
            picture = _turn_hue(picture, rng.uniform(-strength, strength))
        else:
            enhance = _ENHANCEMENTS[change](picture)
            picture = enhance.enhance(rng.uniform(max(0, 1 - strength), 1 + strength))
    return np.asarray(picture)


_ENHANCEMENTS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
_HUE = len(_ENHANCEMENTS)


def _turn_hue(picture: Image.Image, turns: float) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turned = hue.point([(level + int(255 * turns)) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _resized(pixels: Pixels, factor: float, resampling: Image.Resampling) -> Pixels:
    height, width = scaled_size(pixels.shape[:2], factor)
    return np.asarray(Image.fromarray(pixels).resize((width, height), resampling))


def _tensor(pixels: Pixels) -> Tensor:
    # Copied, because Pillow's pixels are read-only and a mirror image has negative strides.
    return torch.from_numpy(np.array(pixels, order="C"))


def _place(span: Span) -> slice:
    return slice(span.place, span.place + span.extent)
