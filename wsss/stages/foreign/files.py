"""Files of other systems, one per image: which there are, and what is in them, after a look at their size."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data import ImageRow
from wsss.stages.foreign.pickles import Budget, read_pickle
from wsss.study.regular import regular_bytes
from wsss.study.sources import existing

NAMED = 10
"""So many of the missing files are named."""

HEADERS = 2**17
"""Bytes that a file may have besides its arrays: headers, names, a pickle's instructions."""


def find_files(
    rows: Iterable[ImageRow], folder: Path | str, suffixes: Sequence[str], what: str
) -> dict[str, Path]:
    """Find each image's file, `<folder>/<id><suffix>`, by id; the first suffix goes first.

    Raises:
        ValueError: the folder or files are missing; `what` is what the message calls them.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"{what}: there is no folder {folder}")
    found = {
        row.id: next(filter(None, (existing(folder, f"{row.id}{suffix}") for suffix in suffixes)), None)
        for row in rows
    }
    if missing := [name for name, path in found.items() if path is None]:
        raise ValueError(
            f"{what}: {folder} lacks the files of {len(missing)} of {len(found)} images, "
            f"expected <id>{' or <id>'.join(suffixes)}: {shortened(missing)}{there(folder)}"
        )
    return {name: path for name, path in found.items() if path is not None}


def there(folder: Path | str) -> str:
    """Name a file of a folder in which others are missing: how it is called often tells why."""
    names = sorted(path.name for path in Path(folder).iterdir() if not path.name.startswith("."))
    return f"; there is e.g. {names[0]}" if names else "; the folder is empty"


def shortened(names: Sequence[str]) -> str:
    """Join the first names, with a sign if there are more."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in what its reading raises: on damaged bytes that may be anything."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not a decoder's
            raise
        if isinstance(error, ValueError) and str(error).startswith(f"{path}: "):
            raise
        raise ValueError(f"{path}: {error}") from error


def read_grey_png(path: Path, most_pixels: int) -> NDArray[np.float32]:
    """Read a grey PNG of 1 to 16 bits as (H, W) in [0, 1], white being 1.

    Args:
        path: the file.
        most_pixels: those of the image that it belongs to.

    Raises:
        ValueError: It holds colours, or more pixels.
    """
    with Image.open(io.BytesIO(regular_bytes(path)), formats=["PNG"]) as image:
        if image.width * image.height > most_pixels:
            raise ValueError(f"{image.width} x {image.height} pixels, expected at most {most_pixels:,}")
        if image.mode.startswith("I"):
            return np.asarray(image).astype(np.float32) / np.float32(65535)
        return _equal_channels(image).astype(np.float32) / np.float32(255)


def _equal_channels(image: Image.Image) -> NDArray[np.uint8]:
    """Return the grey (H, W) of an image of 8 bits, which may be stored as three equal colours."""
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    colours = np.asarray(image.convert("RGB"))
    if (colours != colours[..., :1]).any() or _transparent(image):
        raise ValueError("colours, such as a heat map's, or transparent pixels; expected grey, white being 1")
    return colours[..., 0]


def _transparent(image: Image.Image) -> bool:
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def read_npy(path: Path, most_values: int) -> NDArray[Any]:
    """Read an array of plain numbers of any shape.

    Args:
        path: a `.npy` file.
        most_values: the largest number of values, of 8 bytes at most, that makes sense.

    Raises:
        ValueError: the file is too large, damaged, or no such array.
    """
    return _array(_content(path, most_values))


def read_npz(path: Path, most_values: int) -> dict[str, NDArray[Any]]:
    """Read the arrays of an `.npz` file, compressed or not, by name; otherwise as `read_npy`."""
    limit = 8 * most_values + HEADERS
    with zipfile.ZipFile(io.BytesIO(_content(path, most_values))) as archive:
        members = archive.infolist()
        if (size := sum(member.file_size for member in members)) > limit:
            raise ValueError(f"{size} bytes when unpacked, expected at most {limit}")
        return {member.filename.removesuffix(".npy"): _array(_member(archive, member)) for member in members}


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Unpack as many bytes as a member claims; `ZipFile.read` unpacks all there are, then cuts."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{member.filename} is compressed by method {member.compress_type}, expected deflate"
        )
    with archive.open(member) as stream:
        content = stream.read(member.file_size)
        if len(content) < member.file_size:
            raise ValueError(f"{member.filename} has {len(content)} bytes, claims {member.file_size}")
        return content


def read_pickled_npy(path: Path, most_values: int) -> dict[int | str, Any]:
    """Read a dictionary that `numpy.save` has pickled into a `.npy` file, see `read_pickle`.

    Raises:
        ValueError: the file is too large, damaged, or holds anything but numbers, texts and arrays.
    """
    data = _content(path, most_values)
    shape, dtype, _, start = _header(data)
    if not dtype.hasobject or shape != ():
        raise ValueError(f"an array {shape} {dtype}, expected a pickled dictionary")
    content = read_pickle(io.BytesIO(data[start:]), Budget(bytes=3 * (8 * most_values + HEADERS)))
    if not isinstance(content, dict):
        raise ValueError(f"a pickled {type(content).__name__}, expected a dictionary")
    return content


def _content(path: Path, most_values: int) -> bytes:
    content = regular_bytes(path, 8 * most_values + HEADERS)
    if not content:
        raise ValueError("the file is empty")
    return content


def _array(data: bytes) -> NDArray[Any]:
    shape, dtype, fortran_order, start = _header(data)
    if dtype.kind not in "fiub":
        raise ValueError(f"an array of {dtype}; elements must be plain numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"an array that claims {shape} {dtype} in {len(data) - start} bytes")
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran_order else "C")


def _header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any], bool, int]:
    """Read shape, dtype, whether columns come first, and where the values of a `.npy` file start."""
    stream = io.BytesIO(data)
    if data[:6] != np.lib.format.MAGIC_PREFIX:
        raise ValueError(f"no .npy file, it starts with {data[:6]!r}")
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"a .npy file of version {version}, expected (1, 0) or (2, 0)")
    shape, fortran_order, dtype = readers[version](stream)
    return shape, dtype, fortran_order, stream.tell()
