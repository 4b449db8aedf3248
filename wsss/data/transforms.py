"""What happens to an image, and to its label map, on the way into a network.

Images are (H, W, 3) uint8 RGB, label maps (H, W) uint8. Whatever is random comes from the
``numpy.random.Generator`` that is handed in, so that a sample depends on its seed and not on the worker that
makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from wsss.method.labels import IGNORE
from wsss.method.resizing import scaled_size

Pixels = NDArray[np.uint8]
Normalize = Callable[[Tensor], Tensor]
"""Maps RGB images (..., 3, H, W) in [0, 1] to what a network wants, such as `wsss.models.Normalization`."""

Jitter = tuple[float, float, float, float]
"""Largest change of brightness, contrast and saturation, in shares, and of hue, in turns of the circle."""

Padding = Literal["mean", "black"]
"""What surrounds an image smaller than its crop: the mean colour, or black, as AffinityNet was published."""


class Span(NamedTuple):
    """One side of a crop: ``extent`` pixels of the image from ``start``, laid at ``place`` in the crop."""

    start: int
    place: int
    extent: int


@dataclass(frozen=True)
class TrainTransform:
    """Random scale, crop, mirroring and colours: a fresh view of an image at each call.

    Attributes:
        crop_size: side of the square crop in pixels, after the scaling.
        scale: lowest and highest factor of the scaling.
        jitter: largest changes of the colours.
        normalization: what the network wants done to an image last.
        flip: mirror every other view.
        padding: what surrounds an image that is smaller than the crop.
        longest_side: pixels to which the longest side is brought before the scaling; None: as it is.
        grid: pixels of a cell that no crop cuts through: a crop begins at a whole cell of the image, and a
            smaller image is laid at a whole cell of the crop.
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
            The image, (3, crop_size, crop_size) float32, and its labels or None: (crop_size, crop_size) uint8
            with 255 where there is no image.

        Raises:
            ValueError: the labels have another size than the image.
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
        """A crop of padding alone."""
        canvas = torch.zeros(3, self.crop_size, self.crop_size)  # the mean colour, once it is normalised
        return canvas if self.padding == "mean" else canvas + self.normalization(torch.zeros(3, 1, 1))


def normalised(image: Pixels, normalization: Normalize) -> Tensor:
    """Turn an image (H, W, 3) into the (3, H, W) float32 that a network wants."""
    return normalization(_tensor(image).permute(2, 0, 1).float() / 255)


def scaled(image: Pixels, factor: float) -> Pixels:
    """Resize an image (H, W, 3) by a factor, bicubic; smaller ones are smoothed, not sampled."""
    return _resized(image, factor, Image.Resampling.BICUBIC)


def scaled_labels(labels: Pixels, factor: float) -> Pixels:
    """Resize a label map (H, W) by a factor; each pixel takes the nearest label."""
    return _resized(labels, factor, Image.Resampling.NEAREST)


def random_span(side: int, crop_size: int, rng: np.random.Generator, grid: int = 1) -> Span:
    """Cut a random ``crop_size`` out of a longer side; lay a shorter one at a random place.

    Start and place are multiples of ``grid``.
    """
    slack = side - crop_size
    offset = grid * int(rng.integers(abs(slack) // grid + 1))
    return Span(offset, 0, crop_size) if slack > 0 else Span(0, offset, side)


def scaled_crop(
    image: Pixels, size: tuple[int, int], rows: Span, columns: Span, resampling: Image.Resampling
) -> Pixels:
    """Resize to ``size`` (height, width) and crop, at the cost of the crop alone."""
    height, width = image.shape[:2]
    down, across = height / size[0], width / size[1]
    left, right = columns.start * across, (columns.start + columns.extent) * across
    top, bottom = rows.start * down, (rows.start + rows.extent) * down
    box = (left, top, min(right, width), min(bottom, height))
    return np.asarray(Image.fromarray(image).resize((columns.extent, rows.extent), resampling, box=box))


def colour_jitter(image: Pixels, strengths: Jitter, rng: np.random.Generator) -> Pixels:
    """Change brightness, contrast, saturation and hue of an image (H, W, 3) at random and in random order.

    As torchvision's ``ColorJitter``: factors are uniform in [max(0, 1 - s), 1 + s], turns of the hue in
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
    # A copy, because Pillow's pixels are read-only, and those of a mirror image run backwards.
    return torch.from_numpy(np.array(pixels, order="C"))


def _place(span: Span) -> slice:
    return slice(span.place, span.place + span.extent)
