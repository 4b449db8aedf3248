"""Image files of a folder and its sub-folders, and the ids that spellings of their names stand for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from unicodedata import category, normalize
from urllib.parse import parse_qs, unquote, urlsplit

from wsss.data.problems import Problems
from wsss.study.regular import irregular
from wsss.study.sources import IMAGE_SUFFIXES, SYSTEM_FOLDERS, without_doubles

FOLDER_MARK = "__"
"""Stands in ids for the slash between a sub-folder and what is in it: results name one file per id."""

_NO_TEXT = {"Cc", "Cs"}
"""Unicode categories of control characters, and of bytes that are not UTF-8: no list can hold them."""

MOST_BYTES = 240
"""Length of an id: file systems allow 255 bytes for a name, of which a suffix takes some."""

_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of uploaded files."""


def same_form(text: str) -> str:
    """Bring text to the Unicode form NFC: `ü` may be one character or two that look the same."""
    return normalize("NFC", text)


def id_of(path: Path, folder: Path) -> str:
    """Return the id of an image: its path in the folder without extension, `/` written as `__`."""
    return same_form(FOLDER_MARK.join(path.relative_to(folder).with_suffix("").parts))


def find_images(
    folder: Path,
    problems: Problems,
    without: Collection[Path] = (),
    unusable: dict[str, Path] | None = None,
) -> dict[str, Path]:
    """Find the images in a folder and its sub-folders, by id.

    Photographs in formats that cannot be read are among them, so that decoding says so; but not the raw file
    beside a JPEG.

    Args:
        folder: Where to look; hidden files and folders are passed over.
        problems: Collects what cannot be used: names that no list can hold, two images of one id, links to
            nothing, and devices or pipes that bear the name of an image.
        without: Sub-folders that hold something else, such as masks.
        unusable: Gets the links and devices by id, for lists that name them.
    """
    images: dict[str, Path] = {}
    for path in without_doubles(_files(folder, IMAGE_SUFFIXES, problems, without)):
        if wrong := irregular(path):
            problems.add("not a file", f"{path}: {wrong}")
            if unusable is not None:
                unusable[id_of(path, folder)] = path
            continue
        if _NO_TEXT & set(map(category, path.name)):
            problems.add(
                "unusable name", f"{path.parent}: {path.name!r} has control or undecodable characters"
            )
        image_id = id_of(path, folder)
        if (size := len(image_id.encode(errors="replace"))) > MOST_BYTES:
            said = f"{size} bytes with its folders, expected at most {MOST_BYTES}, as results are called so"
            problems.add("unusable name", f"{path}: {said}")
        if image_id in images:
            problems.add("duplicate id", f"{path}: has the same id as {images[image_id]}")
        images.setdefault(image_id, path)
    return images


def regular_files(
    folder: Path, suffixes: Collection[str], problems: Problems, without: Collection[Path] = ()
) -> Iterator[Path]:
    """Yield the files of a folder and its sub-folders that have one of the suffixes, in ascending order.

    Anything else under such a name is a problem: opening a pipe or a device could wait or read for ever.
    """
    for path in _files(folder, suffixes, problems, without):
        if wrong := irregular(path):
            problems.add("not a file", f"{path}: {wrong}")
        else:
            yield path


def named_images(
    folder: Path, problems: Problems, without: Collection[Path] = ()
) -> tuple[dict[str, Path], ImageNames]:
    """Find images as `find_images` does, with what finds them by name.

    The names are also those of files that cannot be used, so that a list which names them is not wrong, too.
    """
    unusable: dict[str, Path] = {}
    images = find_images(folder, problems, without, unusable)
    return images, ImageNames(unusable | images, folder)


def _files(
    folder: Path, suffixes: Collection[str], problems: Problems, without: Collection[Path]
) -> Iterator[Path]:
    """Yield what has one of the suffixes and is no folder, in ascending order."""
    left_out = {path.resolve() for path in without if path.resolve() != folder.resolve()}
    for path in _below(folder, problems, left_out, frozenset()):
        if path.suffix.lower() in suffixes:
            yield path


def _below(
    folder: Path, problems: Problems, left_out: Collection[Path], above: frozenset[Path]
) -> Iterator[Path]:
    """Yield what is in a folder and its sub-folders; links that lead upwards are not followed."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        problems.add("missing file", f"{folder}: {error.strerror}")
        return
    above |= {folder.resolve()}
    for path in entries:
        if path.name.startswith(".") or path.name in SYSTEM_FOLDERS:
            continue
        if not path.is_dir():
            yield path
        elif path.resolve() not in {*left_out, *above}:
            yield from _below(path, problems, left_out, above)


class ImageNames:
    """Finds images by what people call them.

    `a`, `a.jpg` beside a file `a.jpeg`, `images/a.jpg`, `C:\\photos\\a.jpg`, `A.JPG` and another Unicode form
    stand for the image `a`; `holiday/a`, and `a` alone if no other folder has an `a`, for `holiday__a`. So do
    addresses such as `https://host/a.jpg?size=2`, `a%20b`, and `1f2e3d4c-a.jpg`, as Label Studio writes.
    """

    def __init__(self, images: Mapping[str, Path], folder: Path) -> None:
        self._whole: dict[str, set[str]] = defaultdict(set)
        self._inner: dict[str, set[str]] = defaultdict(set)
        for image_id, path in images.items():
            inner = same_form(path.relative_to(folder).as_posix())
            stem = inner.removesuffix(PurePosixPath(inner).suffix)
            for spelling in (image_id, inner, stem):
                self._whole[spelling].add(image_id)
                self._whole[_cleaned(spelling)].add(image_id)
            for spelling in (*_tails(inner)[1:], *_tails(stem)[1:]):
                self._inner[spelling].add(image_id)
        self._folded = [_folded(self._whole), _folded(self._inner)]

    def __len__(self) -> int:
        return len(self._whole)

    @property
    def example(self) -> str:
        """The id of some image."""
        return min(min(self._whole.values(), key=min))

    def find(self, name: str) -> set[str]:
        """Return the ids that a name may stand for: none, one, or several that it does not tell apart."""
        return next(filter(None, map(self._find, readings(same_form(name)))), set())

    def _find(self, name: str) -> set[str]:
        name = _cleaned(name).removeprefix("./")
        spellings = (name, name.casefold())
        for spelling, (whole, inner) in zip(
            spellings, ((self._whole, self._inner), self._folded), strict=True
        ):
            for known, tails in ((whole, _tails(spelling)), (inner, [spelling])):
                for tail in tails:
                    if found := known.get(tail) or known.get(without_suffix(tail)):
                        return found
        return set()


def _cleaned(name: str) -> str:
    """Write a name as lists do: without spaces around it, and with the slashes of this system."""
    return name.strip().replace("\\", "/")


def readings(text: str) -> Iterator[str]:
    """Yield what a text may name: itself, then the file of an address, then that before its upload."""
    yield text
    path, is_address = text, "://" in text or text.startswith("/data/")
    if "%" in text or is_address:
        try:
            parts = urlsplit(text) if "://" in text or "?d=" in text else None
        except ValueError:  # `[` where a host would be
            parts = None
        path = unquote((parse_qs(parts.query).get("d") or [parts.path])[0] if parts else text)
        yield path
    folder, slash, name = path.rpartition("/")
    if _UPLOADED.match(name):
        yield f"{folder}{slash}{_UPLOADED.sub('', name)}"
    if is_address:
        yield from (name, _UPLOADED.sub("", name))


def _folded(index: Mapping[str, set[str]]) -> dict[str, set[str]]:
    folded: dict[str, set[str]] = defaultdict(set)
    for spelling, ids in index.items():
        folded[spelling.casefold()] |= ids
    return folded


def _tails(name: str) -> list[str]:
    """Return a path, then the path without its first folder, and so on: the whole path may lie elsewhere."""
    parts = [part for part in name.split("/") if part]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def without_suffix(name: str) -> str:
    """Take off the extension of an image; what follows another dot belongs to the name."""
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in IMAGE_SUFFIXES else name
