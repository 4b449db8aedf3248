"""Opening image files: which formats are read, how large they may be, and what is said of all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError

from wsss.study.regular import irregular
from wsss.study.sources import RAW_SUFFIXES

MAX_PIXELS = 50_000_000
"""Larger images are refused before they are decoded: they fit no stage, and may be decompression bombs."""

MIN_SIDE = 8
"""Shortest side in pixels: one cell of the stride-8 grid."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000", "AVIF", "TGA")
"""Pillow's decoders that are used, whatever a file is called. That of EPS would run Ghostscript."""

MASK_FORMATS = ("PNG", "TIFF", "BMP", "GIF")
"""Formats that keep the values of masks."""

MASK_SUFFIXES = {".png", ".tif", ".tiff", ".bmp", ".gif"}
"""Extensions of these."""

FOREIGN = {
    b"%!PS": "an EPS or PostScript file", b"\xc5\xd0\xd3\xc6": "an EPS file", b"%PDF": "a PDF file",
    b"8BPS": "a Photoshop file", b"<svg": "an SVG drawing", b"<?xml": "an XML file",
    b"II*\0": "a TIFF with unusual pixels", b"MM\0*": "a TIFF with unusual pixels",
    b"PK\3\4": "a zip archive", b"\x93NUMPY": "a numpy array", b"\x89HDF": "an HDF5 file",
    b"FUJIFILM": "a raw photograph", b"<!DOCTYP": "a web page", b"<!doctyp": "a web page",
    b"<html": "a web page",
    b"\xff\n": "a JPEG XL photograph", b"\0\0\0\x0cJXL ": "a JPEG XL photograph",
}  # fmt: skip
"""What files are, by their first bytes, that cannot be read here."""

BITS_PER_SAMPLE, PLANES = 258, 284
"""Numbers of TIFF's tags."""

PNG, TIFF = b"\x89PNG", (b"II*\0", b"MM\0*")
"""First bytes of files."""

GIT_LFS = b"version https://git-lfs"
"""First bytes of what Git leaves in the place of a large file that it has not fetched."""

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


def _format_of(content: bytes) -> str | None:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            return image.format
    except Exception:  # whatever it is
        return None


@contextmanager
def naming(name: Path | str, content: bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[None]:
    """Turn any error of decoding into a `ValueError` that names the file."""
    try:
        yield
    except Exception as error:
        # Pillow raises OSError, SyntaxError, ValueError, struct.error, EOFError and more for bad bytes.
        raise ValueError(f"{name}: {_reason(content, error, formats)}") from error


def _reason(content: bytes, error: Exception, formats: tuple[str, ...]) -> str:
    if not content:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        if formats != FORMATS and (found := _format_of(content)):
            blurs = ", which blurs the values of masks" if found == "JPEG" else ""
            return f"a {found} file{blurs}, expected {' or '.join(formats)}"
        return _known_as(content) or "not an image, or an unknown format"
    return str(error)


def _known_as(content: bytes) -> str | None:
    """Say what a file is that no decoder takes."""
    if content[4:8] == b"ftyp":
        return "a HEIC photograph or a video, expected an image: save it as JPEG"
    if content.startswith(GIT_LFS):
        return "Git has left a pointer here, expected an image: `git lfs pull` fetches it"
    what = next((what for start, what in FOREIGN.items() if content.lstrip()[:8].startswith(start)), None)
    if what == "a web page":
        return f"{what}, expected an image: its download has failed"
    return f"{what}, expected an image: save it as JPEG or PNG" if what else None


def raw_photograph(content: bytes, name: Path | str) -> None:
    """Raise a `ValueError` for a camera's raw file; in a TIFF, as most are, decoders find a preview."""
    if content.startswith(TIFF) and Path(name).suffix.lower() in RAW_SUFFIXES:
        raise ValueError("a raw photograph, expected an image: save it as JPEG")


@contextmanager
def opened(content: bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[Image.Image]:
    """Decode completely, in one of the formats, after a look at the size.

    Raises:
        Exception: Of any type, for bad bytes; see `naming`.
    """
    with Image.open(BytesIO(content), formats=formats) as image:
        check_size(image.size)
        image.load()
        yield image


def check_size(size: tuple[int, int]) -> None:
    """Raise a `ValueError` if an image of this width and height in pixels is too large or too small."""
    width, height = size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels, expected at most {MAX_PIXELS:,}")
    if min(size) < MIN_SIDE:
        raise ValueError(f"{width} x {height} pixels, expected at least {MIN_SIDE} on each side")


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a decoded image, 1 … 8; 1 is upright."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return int(found) if found in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Make an image upright that has an EXIF orientation."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def swaps_sides(orientation: int) -> bool:
    """Tell whether an EXIF orientation makes height of width."""
    return orientation in (5, 6, 7, 8)


def stored_size(path: Path) -> tuple[int, int] | None:
    """Return height and width in pixels, as stored, without decoding; None if that fails."""
    try:
        if irregular(path):
            return None
        with Image.open(path, formats=FORMATS) as image:
            return image.height, image.width
    except Exception:  # whatever it is, decoding says so
        return None


def in_planes(image: Image.Image) -> bool:
    """Tell whether a TIFF stores its colours one after the other."""
    tags: Any = getattr(image, "tag_v2", {})
    return len(image.getbands()) > 1 and tags.get(PLANES, 1) == 2


def bits_per_sample(image: Image.Image, content: bytes) -> int:
    """Return the bits per sample in a PNG or TIFF, before Pillow brings them to 8; 8 without its content."""
    if not content:
        return 8
    if image.format == "PNG":
        return content[24]
    if image.format == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        return int(max(tags.get(BITS_PER_SAMPLE, (8,))))
    return 8
