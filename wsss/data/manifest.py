"""The manifest: a table of a data set's images. Every stage reads one that holds its own images only."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.data.images import decode_image
from wsss.data.problems import DatasetError
from wsss.results import replacing
from wsss.study.invocation import Invocation
from wsss.study.provenance import content_digest
from wsss.study.regular import regular_bytes, regular_text
from wsss.study.shards import shard_of

COLUMNS = ("id", "image", "mask", "split", "scored", "labels", "height", "width", "digest")
CLASSES = "# classes:"


@dataclass(frozen=True)
class ImageRow:
    """One image.

    Attributes:
        id: Name of the image file without its extension.
        image: The image file, absolute or relative to the working directory.
        mask: The mask file, or None.
        split: ``train``, ``val`` or ``test``.
        scored: Whether CAMs and pseudo masks are scored on this image.
        labels: Class indices of the image, ascending: 0-based positions in the class names, the order of the
            classifier's outputs. See `wsss.method.labels` for the mask values.
        height: Height in pixels, after EXIF rotation.
        width: Width in pixels, after EXIF rotation.
        digest: BLAKE2b-128 of the image file's bytes, in hex.
    """

    id: str
    image: Path
    mask: Path | None
    split: str
    scored: bool
    labels: tuple[int, ...]
    height: int
    width: int
    digest: str

    def photograph(self) -> NDArray[np.uint8]:
        """Read the image as `read_image` does, (H, W, 3) uint8 RGB, and compare its content with the table's.

        Without a digest nothing is compared.

        Raises:
            DatasetError: The file is not the one that the table was made from.
            ValueError: It cannot be decoded.
            FileNotFoundError: It is gone.
        """
        content = regular_bytes(self.image)
        if self.digest and content_digest(content) != self.digest:
            again = (Invocation.of_environment() or Invocation()).command("--forcerun", "prepare_dataset")
            raise DatasetError(
                f"{self.image}: damaged or changed since the data set was prepared, its content is not what "
                f"the table says. If it is as it should be now, read the data set again:\n  {again}"
            )
        return decode_image(content, self.image).pixels


@dataclass(frozen=True)
class Manifest:
    """The names of a data set's classes, in the order of their mask values 1…C, and its images."""

    class_names: tuple[str, ...]
    rows: tuple[ImageRow, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def __iter__(self) -> Iterator[ImageRow]:
        """Iterate over the images."""
        return iter(self.rows)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each image in pixels."""
        return [(row.height, row.width) for row in self.rows]

    def split(self, name: str) -> Manifest:
        """Return the images of one split."""
        return replace(self, rows=tuple(row for row in self.rows if row.split == name))

    def shard(self, name: str, index: int, count: int) -> Manifest:
        """Return the images of one split that fall into shard ``index`` of ``count``."""
        split = self.split(name)
        return replace(split, rows=tuple(row for row in split.rows if shard_of(row.id, count) == index))

    def without_masks(self) -> Manifest:
        """Return the images without any trace of their masks, for every stage but the scoring."""
        return replace(self, rows=tuple(replace(row, mask=None, scored=False) for row in self.rows))

    def write(self, path: Path | str) -> None:
        """Write tab-separated values, under a temporary name until the table is complete."""
        with replacing(Path(path)) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            file.write("\t".join((CLASSES, *self.class_names)) + "\n")
            table = csv.writer(file, delimiter="\t", lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(_cells(row) for row in self.rows)

    @classmethod
    def read(cls, path: Path | str) -> Manifest:
        """Read what :meth:`write` wrote.

        Raises:
            DatasetError: The file is not such a table; the message names the file and the line.
        """
        try:
            file = io.StringIO(regular_text(path), newline="")
        except ValueError as error:
            raise DatasetError(str(error)) from error
        first = file.readline()
        head, *class_names = first.rstrip("\n").split("\t")
        if head != CLASSES:
            raise DatasetError(f"{path}:1: found {first!r:.80}, expected {CLASSES!r}, a tab, the classes")
        table = csv.reader(file, delimiter="\t")
        try:
            header = next(table, [])
            if tuple(header) != COLUMNS:
                raise DatasetError(f"{path}:2: found the columns {header}, expected {list(COLUMNS)}")
            return cls(
                tuple(class_names), tuple(_row(cells, f"{path}:{table.line_num + 1}") for cells in table)
            )
        except csv.Error as error:
            raise DatasetError(f"{path}:{table.line_num + 1}: {error}") from error


def _cells(row: ImageRow) -> tuple[object, ...]:
    labels = " ".join(map(str, row.labels))
    scored = "1" if row.scored else ""
    return row.id, row.image, row.mask or "", row.split, scored, labels, row.height, row.width, row.digest


def _row(cells: list[str], place: str) -> ImageRow:
    try:
        name, image, mask, split, scored, labels, height, width, digest = cells
        return ImageRow(
            id=name,
            image=Path(image),
            mask=Path(mask) if mask else None,
            split=split,
            scored=scored == "1",
            labels=tuple(map(int, labels.split())),
            height=int(height),
            width=int(width),
            digest=digest,
        )
    except ValueError as error:
        raise DatasetError(f"{place}: not a row of {list(COLUMNS)}: {error}") from error
