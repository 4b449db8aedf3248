"""Masks, affinities and pseudo masks of one shard: HDF5 with one dataset or group per image.

Masks are compressed (gzip 1 makes them 14 times smaller at no cost in time), affinities and scores are not
(float16 noise does not compress: lzf is 9 times slower to write and saves nothing). Nothing depends on the
time of writing: equal content gives equal bytes. The root attribute `format` tells the kinds of file apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from wsss.results.files import ArtifactError, in_unit_interval, refusing, replacing
from wsss.results.image_map import Content, ImageMap, image_id_of, member_name

_MASKS, _AFFINITIES, _PSEUDO_MASKS = "wsss masks 1", "wsss affinities 1", "wsss pseudo masks 1"
# Readable by every HDF5 from 1.10 on; the default format of 1.8 is slower with one dataset per image.
_FORMAT_BOUNDS = ("v110", "v110")
# Deflate cannot shrink further; what claims more than this is not a mask of this program.
_LARGEST_COMPRESSION = 1100
# Ends the name of a boundary beside its image's stencil; in the name of an image `@` is percent-encoded.
_BOUNDARY = "@boundary"


class PseudoMask(NamedTuple):
    """The random walk's result for one image.

    `mask` (H, W) uint8 at the image's size; `scores` (C, h, w) float16, the propagated scores at stride 8;
    `classes` (C,) int64, what each score map stands for.
    """

    mask: NDArray[np.uint8]
    scores: NDArray[np.float16]
    classes: NDArray[np.int64]


def write_masks(path: str | Path, items: Iterable[tuple[str, NDArray[np.uint8]]]) -> None:
    """Write (id, mask (H, W) uint8).

    Raises `ArtifactError` for other shapes and dtypes or an id given twice.
    """
    with _writing(path, _MASKS) as writer:
        for image_id, mask in items:
            writer.add(image_id, mask, np.uint8, 2, compress=True)


def write_affinities(
    path: str | Path,
    items: Iterable[tuple[str, NDArray[np.float16]] | tuple[str, NDArray[np.float16], NDArray[np.float16]]],
    *,
    radius: int,
    input_scale: float,
) -> None:
    """Write (id, stencil (P, h, w) float16 in [0, 1]), the affinities W before the power beta.

    An item may have a third part, the boundary (h, w) float16 in [0, 1] that the affinities come from.
    `radius` is in cells of the grid, `input_scale` the factor on the image before the network. Raises
    `ArtifactError` for other shapes, dtypes and values or an id given twice.
    """
    with _writing(path, _AFFINITIES, radius=radius, input_scale=input_scale) as writer:
        for image_id, stencil, *boundaries in items:
            writer.add(image_id, stencil, np.float16, 3)
            for boundary in boundaries:
                writer.add(image_id, boundary, np.float16, 2, part=_BOUNDARY)
            if not all(map(in_unit_interval, (stencil, *boundaries))):
                raise ArtifactError(f"{path}: image {image_id!r}: affinities are not all in [0, 1]")


def write_pseudo_masks(path: str | Path, items: Iterable[tuple[str, PseudoMask]]) -> None:
    """Write (id, `PseudoMask`).

    Raises `ArtifactError` for other shapes, dtypes and values or an id given twice.
    """
    with _writing(path, _PSEUDO_MASKS) as writer:
        for image_id, (mask, scores, classes) in items:
            writer.add(image_id, mask, np.uint8, 2, part="/mask", compress=True)
            writer.add(image_id, scores, np.float16, 3, part="/scores")
            writer.add(image_id, np.asarray(classes, np.int64), np.int64, 1, part="/classes")
            if len(classes) != len(scores) or not np.isfinite(scores).all():
                raise ArtifactError(
                    f"{path}: image {image_id!r}: {len(scores)} score maps and {len(classes)} classes, "
                    "expected as many of each and finite scores"
                )


def read_masks(path: str | Path) -> Masks:
    """Open a file of `write_masks` as a mapping id → (H, W) uint8; refuse others with `ArtifactError`."""
    return Masks(path)


def read_affinities(path: str | Path) -> Affinities:
    """Open a file of `write_affinities` as a mapping id → (P, h, w) float16; refuse others likewise."""
    return Affinities(path)


def read_pseudo_masks(path: str | Path) -> PseudoMasks:
    """Open a file of `write_pseudo_masks` as a mapping id → `PseudoMask`; refuse others likewise."""
    return PseudoMasks(path)


class _Hdf5Map(ImageMap[Content]):
    """What the three kinds of file share; `_format` is the root attribute that a kind carries."""

    _format: str

    def _open(self) -> h5py.File:
        with refusing(self.path):
            # Files never change once they have their name, and locks fail on some network file systems.
            file = h5py.File(self.path, "r", locking=False)
            found = file.attrs.get("format")
        if found != self._format:
            file.close()
            raise ArtifactError(f"{self.path}: format {found!r}, expected {self._format!r}")
        return file

    def _index(self, handle: h5py.File) -> dict[str, str]:
        with refusing(self.path):
            return {image_id_of(name): name for name in handle}

    def _array(self, handle: h5py.File, name: str, dtype: type[np.generic], ndim: int) -> NDArray[Any]:
        with refusing(self.path):
            if not isinstance(handle.get(name, getlink=True), h5py.HardLink):
                raise ArtifactError(f"{self.path}: {name} is missing or a link to elsewhere")
            dataset = handle[name]
            _check_stored(f"{self.path}: {name}", dataset, dtype, ndim, self.path.stat().st_size)
            values: NDArray[Any] = dataset[()]
            return values


class Masks(_Hdf5Map[NDArray[np.uint8]]):
    """Masks (H, W) uint8 by image id, read when asked for."""

    _format = _MASKS

    def _read(self, handle: h5py.File, member: str) -> NDArray[np.uint8]:
        return self._array(handle, member, np.uint8, 2)


class Affinities(_Hdf5Map[NDArray[np.float16]]):
    """Stencils (P, h, w) float16 in [0, 1] by image id, read when asked for.

    `radius` (cells) and `input_scale` (factor on the image before the network) say how they were computed.
    """

    _format = _AFFINITIES
    radius: int
    input_scale: float

    def _index(self, handle: h5py.File) -> dict[str, str]:
        with refusing(self.path):
            self.radius = int(handle.attrs["radius"])
            self.input_scale = float(handle.attrs["input_scale"])
            return {image_id_of(name): name for name in handle if not name.endswith(_BOUNDARY)}

    def _read(self, handle: h5py.File, member: str) -> NDArray[np.float16]:
        return self._array(handle, member, np.float16, 3)

    def boundary(self, image_id: str) -> NDArray[np.float16] | None:
        """Read the boundary (h, w) in [0, 1] that an image's affinities come from; a network's have none."""
        handle, name = self._handle(), self._members[image_id] + _BOUNDARY
        return self._array(handle, name, np.float16, 2) if name in handle else None


class PseudoMasks(_Hdf5Map[PseudoMask]):
    """`PseudoMask` by image id, read when asked for."""

    _format = _PSEUDO_MASKS

    def _read(self, handle: h5py.File, member: str) -> PseudoMask:
        return PseudoMask(
            self._array(handle, f"{member}/mask", np.uint8, 2),
            self._array(handle, f"{member}/scores", np.float16, 3),
            self._array(handle, f"{member}/classes", np.int64, 1),
        )


@contextmanager
def _writing(path: str | Path, kind: str, **attributes: float) -> Iterator[_Writer]:
    with (
        replacing(path) as temporary,
        h5py.File(temporary, "w", libver=_FORMAT_BOUNDS, locking=False) as file,
    ):
        file.attrs.update({"format": kind, **attributes})
        yield _Writer(Path(path), file)


class _Writer(NamedTuple):
    """Adds arrays to an open file; `path` is the name that the file will have."""

    path: Path
    file: h5py.File

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


def _check_stored(where: str, dataset: object, dtype: type[np.generic], ndim: int, file_size: int) -> None:
    """Refuse what this module would not have written, before numpy allocates what the header claims."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype != dtype or dataset.ndim != ndim:
        raise ArtifactError(f"{where}: {dataset!r}, expected {np.dtype(dtype)} in {ndim} dimensions")
    if dataset.external is not None or dataset.is_virtual or dataset.chunks not in (None, dataset.shape):
        raise ArtifactError(f"{where}: stored in another file or in several chunks")
    claimed, stored = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if stored > file_size or claimed > stored * (1 if dataset.chunks is None else _LARGEST_COMPRESSION):
        raise ArtifactError(f"{where}: claims {dataset.shape} in {stored} bytes of a file of {file_size}")
