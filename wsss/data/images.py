"""Photographs and masks as arrays, from the usual image formats, which are told by their content."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data.decoding import (
    MASK_FORMATS,
    PNG,
    bits_per_sample,
    check_size,
    in_planes,
    naming,
    opened,
    orientation,
    raw_photograph,
    turned,
)
from wsss.method.labels import IGNORE
from wsss.results import replacing
from wsss.study.regular import regular_bytes

DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's grey modes with more than 8 bits."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use of the 16 in a file."""

SHALLOW = 63
"""Largest high byte of 16-bit colours that use 14 bits or fewer."""

OVERSHOOT = 2.0
"""Floats below it are shares of white: resizing and sharpening may leave some above 1."""

WITH_ALPHA = {"LA": "L", "La": "L", "PA": "P", "RGBA": "RGB", "RGBa": "RGB"}
"""Pillow's modes with an alpha channel, and those without it."""


class Decoded(NamedTuple):
    """An upright photograph (H, W, 3) uint8, and the EXIF orientation in which it was stored."""

    pixels: NDArray[np.uint8]
    orientation: int


def voc_palette() -> NDArray[np.uint8]:
    """The VOC colours (256, 3) uint8: an index's bits go to red, green and blue in turn, from the top bit."""
    index = np.arange(256)[:, None]
    channel = np.arange(3)
    palette: NDArray[np.uint8] = np.zeros((256, 3), dtype=np.uint8)
    for place in range(3):
        palette |= (((index >> (3 * place + channel)) & 1) << (7 - place)).astype(np.uint8)
    return palette


def read_image(path: Path | str) -> NDArray[np.uint8]:
    """Read a photograph as (H, W, 3) uint8 RGB, rotated upright by its EXIF orientation.

    Grey, palette and CMYK files become RGB; transparent pixels are blended with white, as a viewer shows
    them; an animation gives its first frame. Of 16 bits those count that the image uses: with values up to
    4095 it has 12, and 4095 is white. Floats are shares of white or, from 2 on, grey levels.

    Raises:
        ValueError: The file is truncated, not an image, too large or too small. The message names it.
        FileNotFoundError: There is no such file.
    """
    return decode_image(regular_bytes(path), path).pixels


def image_pixels(image: Path | str | Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a file, a Pillow image or an array as `read_image` returns a file: (H, W, 3) uint8 RGB, upright.

    An array is taken as it is.

    Raises:
        ValueError: It cannot be read, or the array has another shape or type.
        FileNotFoundError: There is no such file.
    """
    if isinstance(image, (str, Path)):
        if Path(image).is_dir():
            raise ValueError(f"{image}: a folder, expected an image")
        return read_image(image)
    if isinstance(image, Image.Image):
        name = getattr(image, "filename", "") or "the image"
        with naming(name, b"-"):
            check_size(image.size)
            image.load()
            return np.asarray(turned(_rgb(image, b""), orientation(image)), dtype=np.uint8)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected a path, a Pillow image or an array (H, W, 3) uint8 in RGB, got {found}")
    check_size((image.shape[1], image.shape[0]))
    return image


def decode_image(content: bytes, name: Path | str) -> Decoded:
    """Decode the bytes of a file as `read_image` does; ``name`` is used in messages."""
    with naming(name, content):
        raw_photograph(content, name)
    with naming(name, content), opened(content) as image:
        stored = orientation(image)
        return Decoded(np.asarray(turned(_rgb(image, content), stored), dtype=np.uint8), stored)


def read_mask(path: Path | str) -> NDArray[np.uint8]:
    """Read a mask as (H, W) uint8: palette indices or grey values, rotated upright by the EXIF orientation.

    Grey of 1, 2 and 4 bits is read by value, not stretched as in a viewer, and so is grey that is stored as
    three equal channels.

    Raises:
        ValueError: The file cannot be decoded, or holds colours instead of values. The message names it.
        FileNotFoundError: There is no such file.
    """
    values = read_values(path)
    if values.max() > IGNORE:
        raise ValueError(f"{path}: has the value {values.max()}, expected at most {IGNORE}")
    return values.astype(np.uint8)


def check_classes(mask: NDArray[np.uint8], n_classes: int, path: Path | str) -> None:
    """Raise a `ValueError`, which names the file, if a mask has values beyond 0 … C and 255."""
    if unknown := [value for value in np.unique(mask).tolist() if n_classes < value != IGNORE]:
        raise ValueError(f"{path}: values {unknown}, expected 0 … {n_classes} and {IGNORE}")


def read_values(path: Path | str) -> NDArray[np.int64]:
    """Read the values of a mask, which may exceed 255, as (H, W) int64; otherwise as `read_mask`."""
    content = regular_bytes(path)
    with naming(path, content, MASK_FORMATS), opened(content, MASK_FORMATS) as image:
        found = _mask_values(image, content)
        strange = ~(np.isfinite(found) & (found == np.round(found)) & (found >= 0))
        if strange.any():
            raise ValueError(f"has values such as {found[strange][0]:g}, expected whole numbers from 0 on")
        values = found.astype(np.int64)
        return turned_like(values, orientation(image))


def read_colours(path: Path | str) -> NDArray[np.uint8]:
    """Read the colours of a mask as (H, W, 3) uint8, turned upright. Raises as `read_mask`."""
    content = regular_bytes(path)
    with naming(path, content, MASK_FORMATS), opened(content, MASK_FORMATS) as image:
        return np.asarray(turned(_without_alpha(image).convert("RGB"), orientation(image)), dtype=np.uint8)


def palette_of(path: Path | str) -> dict[int, tuple[int, int, int]]:
    """Return the colours of a palette mask by index; none for masks without a palette."""
    with Image.open(BytesIO(regular_bytes(path)), formats=MASK_FORMATS) as image:
        palette = (image.getpalette("RGB") if image.mode == "P" else None) or []
    return {index: (r, g, b) for index, (r, g, b) in enumerate(zip(*[iter(palette)] * 3, strict=False))}


def turned_like(mask: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array (H, W) as an EXIF orientation turns its photograph."""
    place = Image.fromarray(np.arange(mask.size, dtype=np.int32).reshape(mask.shape))
    return mask.reshape(-1)[np.asarray(turned(place, orientation))] if orientation != 1 else mask


def write_mask(path: Path | str, mask: NDArray[np.uint8]) -> None:
    """Write a mask (H, W) uint8 as a PNG in the VOC palette, under a temporary name until it is complete.

    Raises:
        ValueError: The array has another shape or type.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"{path}: got a mask of shape {mask.shape} and {mask.dtype}, expected (H, W) uint8")
    with replacing(path) as temporary:
        palette_image(mask).save(temporary, format="PNG")


def palette_image(mask: NDArray[np.uint8]) -> Image.Image:
    """Return a mask (H, W) uint8 as a palette image in the VOC colours; its values are the indices."""
    image = Image.fromarray(mask)
    image.putpalette(voc_palette().tobytes())
    return image


# Photographs


def _rgb(image: Image.Image, content: bytes) -> Image.Image:
    if image.mode in DEEP_GREY:
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_eight_bits_of_floats(np.asarray(image))).convert("RGB")
    if bits_per_sample(image, content) > 8 and in_planes(image):
        raise ValueError("16-bit colours in a plane for each: save it as PNG, or with 8 bits")
    if bits_per_sample(image, content) == 16 and np.asarray(image.convert("RGB")).max() <= SHALLOW:
        image = _deep_colours(content)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _deep_colours(content: bytes) -> Image.Image:
    """Read 16-bit colours, of which Pillow keeps the high byte alone; torchvision reads those of PNG."""
    if not content.startswith(PNG):
        raise ValueError("16-bit colours of which 14 bits or fewer are used: save it as PNG, or with 8 bits")
    import torch
    from torchvision.io import decode_png

    with warnings.catch_warnings():  # torchvision means to leave decoding to another library one day
        warnings.simplefilter("ignore", DeprecationWarning)
        planes = decode_png(torch.frombuffer(bytearray(content), dtype=torch.uint8)).permute(1, 2, 0).numpy()
    with_alpha = planes.shape[2] in (2, 4)
    colours = _eight_bits(planes[..., :-1] if with_alpha else planes)
    layers = [colours] if colours.shape[2] == 3 else [colours] * 3
    alpha = [(planes[..., -1:] >> 8).astype(np.uint8)] if with_alpha else []
    return Image.fromarray(np.concatenate([*layers, *alpha], axis=2))


def _eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Bring values to 0 … 255, from as many bits as they take."""
    deep = grey.astype(np.int64)
    if deep.min() < 0 or deep.max() > 65535:
        raise ValueError(f"grey values from {deep.min()} to {deep.max()}, expected 0 … 65535")
    white = next(2**bits - 1 for bits in DEPTHS if deep.max() < 2**bits)
    eight: NDArray[np.uint8] = ((deep * 255 + white // 2) // white).astype(np.uint8)
    return eight


def _eight_bits_of_floats(grey: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Bring shares of white, or grey levels of 8 to 16 bits, to 0 … 255; small overshoots are cut off."""
    if not np.isfinite(grey).all():
        raise ValueError("has values that are no numbers (NaN) or infinite")
    low, high = float(grey.min()), float(grey.max())
    white = 1 if high < OVERSHOOT else next((2**bits - 1 for bits in DEPTHS if high < 2**bits), 0)
    if not white or low < -0.1 * white:
        raise ValueError(f"grey values from {low:g} to {high:g}, expected 0 … 1, 0 … 255 or 0 … 65535")
    eight: NDArray[np.uint8] = np.rint(np.clip(grey / white, 0, 1) * 255).astype(np.uint8)
    return eight


# Masks


def _mask_values(image: Image.Image, content: bytes) -> NDArray[Any]:
    """Return the values (H, W) of a mask, of any type."""
    image = _without_alpha(image)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode == "L":
        stretched = 255 // (2 ** min(bits_per_sample(image, content), 8) - 1)
        return np.asarray(image) // np.uint8(stretched)
    if image.mode in ("P", "F", *DEEP_GREY):
        return np.asarray(image)
    colours = np.asarray(image.convert("RGB"))
    coloured = (colours != colours[..., :1]).any(2)
    if coloured.any():
        raise ValueError(
            f"holds colours, such as {colours[coloured][0].tolist()}, expected a palette or grey image whose "
            "values are mask values; `palette: voc` reads VOC's colours, `palette: <file>` those of a file"
        )
    return colours[..., 0]


def _without_alpha(image: Image.Image) -> Image.Image:
    """Drop an alpha channel that hides nothing."""
    if image.mode not in WITH_ALPHA:
        return image
    if np.asarray(image.getchannel("A")).min() < 255:
        raise ValueError(
            "has transparent pixels, which may be background or void: fill them with the value or the colour "
            "of either, and save without transparency"
        )
    return image.convert(WITH_ALPHA[image.mode])
