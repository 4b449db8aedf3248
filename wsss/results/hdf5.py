"""What files of masks and of affinities share: HDF5 with one dataset per image.

Nothing depends on the time of writing: equal content gives equal bytes. The root attribute `format` tells the
kinds of file apart; the others record what a later stage has to know about how the content was computed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from wsss.results.files import ArtifactError, refusing, replacing
from wsss.results.image_map import Content, ImageMap, image_id_of, member_name

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

# Readable by every HDF5 from 1.10 on; the default format of 1.8 is slower with one dataset per image.
_FORMAT_BOUNDS = ("v110", "v110")
# Deflate cannot shrink further; what claims more than this is not a mask of this program.
_LARGEST_COMPRESSION = 1100
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Signature, version, bytes of an offset and of a length, flags; base, extension, end of file, root header.
_SUPERBLOCK = struct.Struct("<8s4B4Q")
_HEADER = b"OHDR"
_PLAIN_TYPES = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)
_PACKED: tuple[list[int], ...] = ([], [h5py.h5z.FILTER_DEFLATE])
# Begins the name of what lies beside an image's own array; in the name of an image it is percent-encoded.
BESIDE = "@"


class Recorded(Protocol):
    """A result file, or several as one, with what it records about all of its images."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Values by name."""


class Hdf5Map(ImageMap[Content]):
    """What both kinds of file share; `format` is the value of the root attribute that tells them apart."""

    format: str

    def _open(self) -> h5py.File:
        with refusing(self.path):
            _check_superblock(self.path)
            # Files never change once they have their name, and locks fail on some network file systems.
            file = h5py.File(self.path, "r", locking=False)
            found = _attribute(self.path, file, "format") if "format" in file.attrs else None
        if found != self.format:
            file.close()
            raise ArtifactError(f"{self.path}: format {found!r}, expected {self.format!r}")
        return file

    def _index(self, handle: h5py.File) -> dict[str, str]:
        with refusing(self.path):
            self.attributes = {
                name: _attribute(self.path, handle, name) for name in handle.attrs if name != "format"
            }
            return {image_id_of(name): name for name in handle if BESIDE not in name}

    def array(self, handle: h5py.File, name: str, dtype: type[np.generic], ndim: int) -> NDArray[Any]:
        """Read one dataset. Raises `ArtifactError` for what this package would not have written."""
        with refusing(self.path):
            _check_link(self.path, handle, name)
            dataset = handle[name]
            _check_stored(f"{self.path}: {name}", dataset, dtype, ndim, self.path.stat().st_size)
            values: NDArray[Any] = dataset[()]
            return values


@contextmanager
def writing(path: str | Path, kind: str, **attributes: float | str) -> Iterator[Writer]:
    """Write a file whole or not at all, with its format `kind` and other root attributes."""
    with replacing(path) as temporary, _Written(temporary, "w+b") as written:
        with h5py.File(written, "w", libver=_FORMAT_BOUNDS) as file:
            for name, value in {"format": kind, **attributes}.items():
                file.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
            yield Writer(Path(path), file, written)
        written.require_all()


class _Written(FileIO):
    """Takes what HDF5 writes, and remembers why a write failed.

    HDF5 itself prints the error of a full disk and goes on without the data, or crashes at the end.
    """

    failed: OSError | None = None

    def write(self, data: Buffer) -> int:
        """Write all of it, or nothing any more once a write has failed."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while self.failed is None and left:
                left = left[super().write(left) :]
        except OSError as error:
            self.failed = error
        return size

    def require_all(self) -> None:
        """Raise what made a write fail, if one has failed."""
        if self.failed is not None:
            raise self.failed


class Writer(NamedTuple):
    """Adds arrays to an open file.

    Attributes:
        path: the name that the file will have.
        file: which is open.
        written: what it writes to.
    """

    path: Path
    file: h5py.File
    written: _Written

    def add(
        self,
        image_id: str,
        array: NDArray[Any],
        dtype: type[np.generic],
        ndim: int,
        *,
        part: str = "",
        compress: bool = False,
    ) -> None:
        """Add an image's array, or a `part` beside it. Raises `ArtifactError` for another shape or dtype."""
        name = member_name(image_id) + part
        if name in self.file:
            raise ArtifactError(f"{self.path}: image {image_id!r} is written twice")
        if array.dtype != dtype or array.ndim != ndim or (compress and not array.size):
            raise ArtifactError(
                f"{self.path}: image {image_id!r}: {array.dtype} {array.shape}, "
                f"expected {np.dtype(dtype)} in {ndim} dimensions"
            )
        options = {"chunks": array.shape, "compression": "gzip", "compression_opts": 1} if compress else {}
        self.file.create_dataset(name, data=array, track_times=False, **options)
        self.written.require_all()


def _check_superblock(path: Path) -> None:
    """Refuse a file whose head is not one of `writing`, before HDF5 follows what is in it.

    HDF5 goes round in circles on some damaged files of its older forms, which have no checksums.
    """
    with path.open("rb") as file:
        head = file.read(_SUPERBLOCK.size)
        if len(head) < _SUPERBLOCK.size or not head.startswith(_SIGNATURE):
            raise ArtifactError(f"{path}: no HDF5 file, or cut short")
        _, version, offsets, lengths, _, base, _, end, root = _SUPERBLOCK.unpack(head)
        if (version, offsets, lengths, base, end) != (3, 8, 8, 0, size := path.stat().st_size):
            raise ArtifactError(
                f"{path}: HDF5 of version {version} that ends at byte {end:,}, expected version 3 and "
                f"{size:,} bytes"
            )
        _check_header(file, "the root", root)


def _attribute(path: Path, file: h5py.File, name: str) -> Any:
    """Read a text or number of the header.

    HDF5 keeps texts of variable length in a heap without checksums, in which it goes round in circles if that
    is damaged: they are refused.
    """
    kind = file.attrs.get_id(name).get_type()
    if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
        raise ArtifactError(
            f"{path}: attribute {name!r} is a text of variable length, as earlier versions wrote them. "
            "Run the study again: what is too old is computed anew"
        )
    if not isinstance(kind, _PLAIN_TYPES):
        raise ArtifactError(f"{path}: attribute {name!r} is no number and no text")
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else value.item()


def _check_link(path: Path, handle: h5py.File, name: str) -> None:
    """Refuse a link to anything but a header with a checksum."""
    if not isinstance(handle.get(name, getlink=True), h5py.HardLink):
        raise ArtifactError(f"{path}: {name} is missing or a link to elsewhere")
    with path.open("rb") as file:
        _check_header(file, name, handle.id.links.get_info(name.encode()).u)


def _check_header(file: BinaryIO, name: str, place: int) -> None:
    file.seek(min(place, 2**63 - 1))
    if file.read(len(_HEADER)) != _HEADER:
        raise ArtifactError(f"{file.name}: {name}: there is no header with a checksum at byte {place:,}")


def _check_stored(where: str, dataset: object, dtype: type[np.generic], ndim: int, file_size: int) -> None:
    """Refuse what this module would not have written, before numpy allocates what the header claims."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype != dtype or dataset.ndim != ndim:
        raise ArtifactError(f"{where}: {dataset!r}, expected {np.dtype(dtype)} in {ndim} dimensions")
    filters = dataset.id.get_create_plist()
    if [filters.get_filter(number)[0] for number in range(filters.get_nfilters())] not in _PACKED:
        raise ArtifactError(f"{where}: packed in another way than once with gzip")
    if dataset.external is not None or dataset.is_virtual or dataset.chunks not in (None, dataset.shape):
        raise ArtifactError(f"{where}: stored in another file or in several chunks")
    claimed, stored = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if stored > file_size or claimed > stored * (1 if dataset.chunks is None else _LARGEST_COMPRESSION):
        raise ArtifactError(f"{where}: claims {dataset.shape} in {stored} bytes of a file of {file_size}")
