"""Photographs and masks as arrays, from any image format that Pillow reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from wsss.method.labels import IGNORE
from wsss.results import replacing

MAX_PIXELS = 50_000_000
"""Larger images are refused before they are decoded: they fit no stage, and may be decompression bombs."""

MIN_SIDE = 8
"""Shortest side in pixels: one cell of the stride-8 grid."""

DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's grey modes with more than 8 bits."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transpose that makes an image upright, by EXIF orientation.

`PIL.ImageOps.exif_transpose` also rewrites the EXIF data, and fails on files whose other fields are faulty.
"""


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

    Grey, palette and CMYK files become RGB; 16-bit grey keeps its full range (65535 becomes 255);
    transparent pixels are blended with white, as a viewer shows them; an animation gives its first frame.

    Raises:
        ValueError: The file is truncated, not an image, too large or too small. The message names it.
        FileNotFoundError: There is no such file.
    """
    return decode_image(Path(path).read_bytes(), path)


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
        with _naming(name, b"-"):
            _check_size(image.size)
            return np.asarray(_rgb(_turned(image)), dtype=np.uint8)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"expected a path, a Pillow image or an array (H, W, 3) uint8 in RGB, got {found}")
    _check_size((image.shape[1], image.shape[0]))
    return image


def decode_image(content: bytes, name: Path | str) -> NDArray[np.uint8]:
    """Decode the bytes of a file as `read_image` does; ``name`` is used in messages."""
    with _naming(name, content):
        return np.asarray(_rgb(_upright(content)), dtype=np.uint8)


def read_mask(path: Path | str) -> NDArray[np.uint8]:
    """Read a mask as (H, W) uint8: palette indices or grey values, rotated upright by the EXIF orientation.

    Raises:
        ValueError: The file cannot be decoded, or holds colours instead of indices. The message names it.
        FileNotFoundError: There is no such file.
    """
    content = Path(path).read_bytes()
    with _naming(path, content):
        image = _upright(content)
        if image.mode not in ("P", "L", *DEEP_GREY):
            raise ValueError(
                f"mode {image.mode}, expected a palette or grey PNG whose values are mask values"
            )
        values = np.asarray(image)
        if values.max() > IGNORE:
            raise ValueError(f"has the value {values.max()}, expected at most {IGNORE}")
        return values.astype(np.uint8)


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


@contextmanager
def _naming(name: Path | str, content: bytes) -> Iterator[None]:
    """Turn any error of decoding into a `ValueError` that names the file."""
    try:
        yield
    except Exception as error:
        # Pillow raises OSError, SyntaxError, ValueError, struct.error, EOFError and more for bad bytes.
        raise ValueError(f"{name}: {_reason(content, error)}") from error


def _reason(content: bytes, error: Exception) -> str:
    if not content:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or an unknown format"
    return str(error)


def _upright(content: bytes) -> Image.Image:
    """Decode completely, and rotate."""
    with Image.open(BytesIO(content)) as image:
        _check_size(image.size)
        return _turned(image)


def _turned(image: Image.Image) -> Image.Image:
    image.load()
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image.copy() if turn is None else image.transpose(turn)


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, expected at most {MAX_PIXELS:,}")
    if min(size) < MIN_SIDE:
        raise ValueError(f"{width} x {height} pixels, expected at least {MIN_SIDE} on each side")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in DEEP_GREY:
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(grey: NDArray[np.generic]) -> NDArray[np.uint8]:
    deep = grey.astype(np.int64)
    if deep.min() < 0 or deep.max() > 65535:
        raise ValueError(f"grey values from {deep.min()} to {deep.max()}, expected 0 … 65535")
    return ((deep * 255 + 32767) // 65535).astype(np.uint8)
