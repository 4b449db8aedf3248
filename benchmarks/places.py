"""What benchmarks on results begin with: a finished study, or one at a place within it, and its images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from wsss.data import ImageRow, Manifest
from wsss.study.config import Study, read_study
from wsss.study.inner import studies_by_place


class Finished(NamedTuple):
    """A finished study, or one within it, which shares images and classifier with the one around it.

    Attributes:
        study: its configuration.
        images: all of the data set.
        classifier: checkpoint of the classifier.
    """

    study: Study
    images: Manifest
    classifier: Path

    @classmethod
    def of(cls, files: Sequence[str], place: str) -> Finished:
        """Read the study of configuration files, or the one at a place within it, such as rounds/2."""
        around = read_study(*files)
        shared = Path(around.folder)
        images = Manifest.read(shared / "dataset" / "manifest.tsv")
        return cls(studies_by_place(around)[place], images, shared / "classifier" / "checkpoint.pt")

    @property
    def folder(self) -> Path:
        """Of the results of the study."""
        return Path(self.study.folder)

    @property
    def train(self) -> tuple[ImageRow, ...]:
        """The images of train."""
        return self.images.split("train").rows

    @property
    def scored(self) -> list[ImageRow]:
        """The images of train whose masks are scored."""
        return [row for row in self.train if row.scored and row.mask]
