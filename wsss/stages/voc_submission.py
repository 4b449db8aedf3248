"""The archive that the evaluation server of PASCAL VOC expects, and what it would refuse.

`wsss voc-submission check <archive> --root VOCdevkit/VOC2012` checks any such archive against the test list
and the test images. Nothing is unpacked to disk.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsss.data import read_image
from wsss.data.class_names import VOC_CLASSES as CLASSES
from wsss.data.images import palette_image, voc_palette
from wsss.data.problems import Problems
from wsss.data.voc12 import read_list
from wsss.results import replacing
from wsss.study.sources import VOC12_IMAGES, VOC12_LISTS

FOLDER = PurePosixPath("results/VOC2012/Segmentation/comp5_test_cls")
"""Where the server looks for the masks, `<id>.png`."""

MAX_BYTES = 1_000_000
"""Of one member: VOC's largest images have 250,000 pixels of a byte."""

SHOWN = 20
"""Problems after which the check stops."""

_PNG = b"\x89PNG\r\n\x1a\n"
_INDEXED, _BITS = 3, 8

Sizes = Mapping[str, tuple[int, int]]
"""Height and width of the images of test by id."""


def write_submission(path: Path, masks: Iterable[tuple[str, NDArray[np.uint8]]], sizes: Sizes) -> None:
    """Write the archive, the same bytes for the same masks; it has its name only once it passes the check.

    Args:
        path: The archive, `.tgz`.
        masks: id and mask (H, W) uint8 of 0 … 20, in ascending order of ids.
        sizes: What the archive must hold.

    Raises:
        ValueError: The server would refuse these masks; the message lists why.
    """
    with replacing(path) as temporary:
        with (
            temporary.open("wb") as file,
            gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            for image_id, mask in masks:
                content = _png(mask)
                member = tarfile.TarInfo(str(FOLDER / f"{image_id}.png"))  # of time, user and group 0
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        found = problems_of(temporary, sizes)
        if found:
            raise ValueError("\n  ".join([f"{path}: the server would refuse it:", *found]))


def _png(mask: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    palette_image(mask).save(buffer, format="PNG")
    return buffer.getvalue()


def problems_of(archive: Path, sizes: Sizes) -> list[str]:
    """List why the server would refuse an archive: by the member or the image, what was found.

    After 20 problems the rest is left unread. Sizes are compared before anything is decoded.
    """
    found: list[str] = []
    missing = dict.fromkeys(sizes)
    try:
        for problem in _member_problems(archive, sizes, missing):
            found.append(problem)
            if len(found) == SHOWN:
                return [*found, "… and perhaps more"]
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        return [*found, f"no whole .tgz archive: {error}"]
    if missing:
        found.append(
            f"{len(missing)} of the {len(sizes)} images of test have no mask, e.g. {next(iter(missing))}"
        )
    return found


def _member_problems(archive: Path, sizes: Sizes, missing: dict[str, None]) -> Iterator[str]:
    """Yield what is wrong with each member; take the ids that are there from `missing`."""
    folders = {FOLDER, *FOLDER.parents}
    with _Sober(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as members:
        for member in members:
            name = PurePosixPath(member.name)
            if member.size > MAX_BYTES:
                yield f"{member.name}: {member.size:,} bytes, expected at most {MAX_BYTES:,}"
                return  # going on to the next member would unpack them all
            if member.isdir() and name in folders:
                folders.remove(name)
            elif member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                yield f"{member.name}: a link, a device or another folder, expected {FOLDER}/<id>.png"
            elif member.name != f"{FOLDER}/{name.stem}.png" or name.stem not in sizes:
                yield f"{member.name}: expected {FOLDER}/<id>.png, with an id of the test list"
            elif name.stem not in missing:
                yield f"{member.name}: is there twice"
            else:
                del missing[name.stem]
                content = members.extractfile(member)
                assert content is not None  # it is a regular file
                yield from _png_problems(member.name, content.read(), sizes[name.stem])


class _Sober(gzip.GzipFile):
    """An archive that is not unpacked in large pieces, whatever sizes its headers claim."""

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, which may be the content of a member or one of its headers."""
        if size is None or not 0 <= size <= MAX_BYTES:
            raise ValueError(f"a header asks for {size} bytes, expected at most {MAX_BYTES:,}")
        return super().read(size)


def _png_problems(name: str, content: bytes, size: tuple[int, int]) -> Iterator[str]:
    """Yield what is wrong with a mask; its pixels are decoded only if it has the image's size."""
    if content[:8] != _PNG or content[12:16] != b"IHDR" or len(content) < 33:
        yield f"{name}: no PNG"
        return
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    bits, colour = content[24], content[25]
    if (bits, colour) != (_BITS, _INDEXED):
        yield f"{name}: {bits} bits of PNG colour type {colour}, expected 8 bits indexed (type 3)"
    elif (height, width) != size:
        yield f"{name}: {width} x {height} pixels, but its image has {size[1]} x {size[0]}"
    else:
        yield from _pixel_problems(name, content)


def _pixel_problems(name: str, content: bytes) -> Iterator[str]:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            values, palette = np.asarray(image), image.getpalette() or []
    except Exception as error:  # damaged bytes may raise anything
        yield f"{name}: cannot be decoded: {error}"
        return
    alien = np.setdiff1d(values, np.arange(len(CLASSES) + 1)).tolist()
    if alien:
        yield f"{name}: values {alien}, expected 0 … {len(CLASSES)}"
    colours = voc_palette()[: len(CLASSES) + 1].ravel().tolist()
    if palette[: len(colours)] != colours:
        yield f"{name}: the palette is not that of VOC"


def image_sizes(root: Path) -> dict[str, tuple[int, int]]:
    """Read height and width of the test images from a tree of VOC 2012.

    Raises:
        DatasetError: Without the test list.
        ValueError: An image cannot be decoded.
        FileNotFoundError: An image is missing.
    """
    problems = Problems()
    ids = read_list(root / VOC12_LISTS / "test.txt", problems)
    problems.raise_any(f"data set {root}")
    shapes = {image_id: read_image(root / VOC12_IMAGES / f"{image_id}.jpg").shape for image_id in ids}
    return {image_id: (height, width) for image_id, (height, width, _) in shapes.items()}
