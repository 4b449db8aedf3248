"""CAM stacks of one shard: an uncompressed zip of `.npy` members, readable by `numpy.load` too.

Each image has two members, `<id>/scores.npy`, (K, H, W) float16 in [0, 1], and `<id>/class_values.npy`, (K,)
int64, the mask values of the K maps in ascending order; `<id>` is percent-encoded. Nothing is pickled.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.method.labels import BACKGROUND, IGNORE
from wsss.results.files import ArtifactError, in_unit_interval, refusing, replacing
from wsss.results.image_map import ImageMap, image_id_of, member_name

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the oldest a zip can hold: equal content gives equal bytes
_UNIX = 3


class Cams(NamedTuple):
    """CAMs of one image.

    Attributes:
        scores: (K, H, W) float16 in [0, 1]; K is 0 for an image without labels.
        class_values: (K,) int64, the mask value of each map, 1…254, ascending.
    """

    scores: NDArray[np.float16]
    class_values: NDArray[np.int64]


def write_cams(
    path: str | Path, items: Iterable[tuple[str, NDArray[np.float16], Sequence[int] | NDArray[np.int64]]]
) -> None:
    """Write CAMs one image at a time.

    Args:
        path: the file.
        items: id, scores (K, H, W) float16 in [0, 1], and the K mask values of the maps, ascending.

    Raises:
        ArtifactError: other shapes, dtypes or values (nan, say), or an id given twice; nothing is written.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        seen: set[str] = set()
        for image_id, scores, given in items:
            class_values = np.asarray(given, dtype=np.int64).reshape(-1)
            _check_cams(f"{path}: image {image_id!r}", scores, class_values)
            if image_id in seen:
                raise ArtifactError(f"{path}: image {image_id!r} is written twice")
            seen.add(image_id)
            _add_array(archive, f"{member_name(image_id)}/scores.npy", scores)
            _add_array(archive, f"{member_name(image_id)}/class_values.npy", class_values)


def read_cams(path: str | Path) -> CamStacks:
    """Open a file of `write_cams` as a mapping id → `Cams`. Raises `ArtifactError` for any other file."""
    return CamStacks(path)


class CamStacks(ImageMap[Cams]):
    """CAMs by image id, read from the zip when asked for."""

    def _open(self) -> zipfile.ZipFile:
        with refusing(self.path):
            return zipfile.ZipFile(self.path)

    def _index(self, handle: zipfile.ZipFile) -> dict[str, str]:
        with refusing(self.path):
            names = set(handle.namelist())
            stems = {name.rpartition("/")[0] for name in names}
            if names != {f"{stem}/{part}.npy" for stem in stems for part in Cams._fields}:
                raise ArtifactError(
                    f"{self.path}: not a file of CAMs, which has scores.npy and class_values.npy per image"
                )
            return {image_id_of(stem): stem for stem in stems}

    def _read(self, handle: zipfile.ZipFile, member: str) -> Cams:
        scores = self._read_array(handle, f"{member}/scores.npy", np.float16)
        class_values = self._read_array(handle, f"{member}/class_values.npy", np.int64)
        _check_cams(f"{self.path}: image {image_id_of(member)!r}", scores, class_values)
        return Cams(scores, class_values)

    def _read_array(self, archive: zipfile.ZipFile, name: str, dtype: type[np.generic]) -> NDArray[Any]:
        """Read one `.npy` member; its header must agree with its size before anything is allocated."""
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self.path.stat().st_size:
            raise ArtifactError(f"{self.path}: {name} is compressed or larger than the file")
        with refusing(self.path):
            data = archive.read(info)
            shape, found, offset = _parse_header(data)
            if found != dtype or math.prod(shape) * found.itemsize != len(data) - offset:
                raise ArtifactError(f"{self.path}: {name} claims {shape} {found} in {len(data)} bytes")
            return np.frombuffer(data, found, offset=offset).reshape(shape).copy()


def _parse_header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Read shape, dtype and the offset of the values from the bytes of a version 1.0 `.npy` file."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f".npy version {version}, expected (1, 0)")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if fortran_order or min(shape, default=0) < 0:
        raise ValueError(f".npy header with shape {shape}, Fortran order {fortran_order}")
    return shape, dtype, stream.tell()


def _check_cams(where: str, scores: NDArray[Any], class_values: NDArray[np.int64]) -> None:
    if scores.dtype != np.float16 or scores.ndim != 3:
        raise ArtifactError(f"{where}: scores are {scores.dtype} {scores.shape}, expected float16 (K, H, W)")
    ascending = (np.diff(class_values, prepend=BACKGROUND) > 0).all() and (class_values < IGNORE).all()
    if class_values.shape != scores.shape[:1] or not ascending:
        raise ArtifactError(
            f"{where}: class values {class_values.tolist()}, expected {len(scores)} ascending mask values "
            f"in 1…{IGNORE - 1}"
        )
    if not in_unit_interval(scores):
        raise ArtifactError(f"{where}: scores are not all in [0, 1]")


def _add_array(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    data = io.BytesIO()
    np.lib.format.write_array(data, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    info = zipfile.ZipInfo(name, _FIXED_TIME)
    info.create_system, info.external_attr = _UNIX, 0o644 << 16
    archive.writestr(info, data.getvalue())
