"""From a folder of photographs to a study: what `wsss init` finds out, and what it writes."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsss.data.folder import held_out
from wsss.data.layouts import Labels, Layout
from wsss.planning.command_line import STUDY
from wsss.planning.labels_survey import LabelSurvey
from wsss.planning.photographs import Photograph, near_duplicates, sizes_of
from wsss.planning.work import Images
from wsss.planning.yaml_text import block_style
from wsss.study.config import Folder
from wsss.study.sources import LABELS_FROM_FOLDERS

HOLDOUT = float(Folder.model_fields["holdout"].default)

LABEL_MARK = ";"
"""Between the labels of an image: names of classes may hold spaces."""

NO_LABEL = "background"
"""The label of an image of none of the classes."""

SHOWN = 3
"""Examples in a warning."""


@dataclass(frozen=True)
class NewStudy:
    """A study to be written: the values of its YAML file, and the lists that these name, by path."""

    values: Mapping[str, Any]
    lists: Mapping[Path, str]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.values["name"])

    def text(self, about: str, command: str) -> str:
        """The YAML file, with what it is about and what runs it."""
        return f"# {about}\n#   {command}\n{block_style(self.values)}"


def study_name(folder: Path, out: Path = STUDY) -> str:
    """A study's name, of small letters, digits, - and _: that of its file, or of the folder if the file has
    the usual name. So two studies of a folder, or of two folders of one name, share no results.
    """
    named = folder.resolve().name if out.name == STUDY.name else out.stem
    words = re.sub(r"[^a-z0-9_-]+", "_", named.lower()).strip("_-")
    return words or "photographs"


def survey_of(labels: Labels) -> LabelSurvey:
    """The labels of all images that have some, in the splits of the layout, or those that a study makes."""
    val = held_out(labels.labels, HOLDOUT) if _needs_holdout(labels) else set()
    splits = {
        image_id: "val" if image_id in val else labels.splits.get(image_id, "train")
        for image_id in labels.labels
    }
    return LabelSurvey(labels.class_names, labels.labels, splits)


def new_study(folder: Path, layout: Layout, labels: Labels, out: Path, recipe: str) -> NewStudy:
    """Make a study of a folder whose layout is known.

    A table or folders of classes are named as they are, so that labels can be corrected there. Annotations of
    tools are written down as a table of labels.

    Args:
        folder: The photographs, as the study will name it: relative to the working directory, or absolute.
        layout: How they lie in it.
        labels: What was read of them.
        out: The study's file; lists that the study needs will lie beside it.
        recipe: Its settings.
    """
    lists = _Lists(folder, out.parent, study_name(folder, out))
    images = layout.labels[0] if layout.kind == "folders" else layout.images
    dataset: dict[str, Any] = {"kind": "folder", "root": str(folder), "images": _inside(images, folder)}
    if layout.kind == "folders" and _needs_holdout(labels):
        dataset["labels"] = LABELS_FROM_FOLDERS
    elif layout.kind == "table":
        dataset["labels"] = _inside(layout.labels[0], folder)
    else:
        dataset["labels"] = lists.add("labels.csv", _table(labels.labels))
    if layout.classes is not None:
        dataset["classes"] = _inside(layout.classes, folder)
    elif dataset["labels"] != LABELS_FROM_FOLDERS:
        dataset["classes"] = lists.add("classes.txt", _lines(labels.class_names))
    if layout.masks is not None:
        dataset["masks"] = _inside(layout.masks, folder)
    if not _needs_holdout(labels):
        dataset["splits"] = {
            split: lists.add(f"{split}.txt", _lines(_ids(labels, split))) for split in ("train", "val")
        }
    return NewStudy({"name": lists.name, "recipe": recipe, "dataset": dataset}, lists.texts)


def images_of(survey: LabelSurvey, photographs: Mapping[str, Photograph], scored: int) -> Images:
    """What the estimate needs to know of the photographs; there must be at least one."""
    sizes = sizes_of(photographs.values())
    counts = {split: len(survey.ids(split)) for split in ("train", "val")}
    return Images(counts, scored, sizes.megapixels, survey.per_image(), sizes.median)


def warnings(labels: Labels, survey: LabelSurvey, photographs: Mapping[str, Photograph]) -> Iterator[str]:
    """What stands in the way of good masks, one sentence each."""
    yield from survey.warnings(own_splits=True)
    if unlabelled := labels.unlabelled:
        yield (
            f"{len(unlabelled)} images have no label ({_examples(unlabelled)}): label them, those of none of "
            f"the classes with `{NO_LABEL}`, or move them away"
        )
    if unread := sorted(labels.labels.keys() - photographs.keys()):
        yield f"{len(unread)} images cannot be read ({_examples(unread)})"
    copies = near_duplicates(photographs, survey.ids("val"), survey.ids("train"))
    if copies:
        pairs = [f"{image_id} and {other}" for image_id, other in copies]
        yield (
            f"{len(copies)} images of val look like images of train ({_examples(pairs)}): scores on val will "
            "be too good; put copies into one split with dataset.splits"
        )


class _Lists:
    """Texts of the files beside a study, by path."""

    def __init__(self, folder: Path, home: Path, name: str) -> None:
        self.folder, self.home, self.name = folder, home, name
        self.texts: dict[Path, str] = {}

    def add(self, kind: str, text: str) -> str:
        """Add a file; return its path as the study names it: from the root, or whole if that is a link."""
        path = self.home / f"{self.name}_{kind}"
        self.texts[path] = text
        if self.folder.resolve() != Path(os.path.abspath(self.folder)):
            return str(path.absolute())
        return os.path.relpath(path, self.folder)


def _needs_holdout(labels: Labels) -> bool:
    """Whether the layout tells no images for val: a study then holds some out."""
    return "val" not in labels.splits.values()


def _ids(labels: Labels, split: str) -> list[str]:
    return sorted(image_id for image_id in labels.labels if labels.splits.get(image_id, "train") == split)


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)


def _table(labels: Mapping[str, Iterable[str]]) -> str:
    text = io.StringIO()
    rows = ((image_id, LABEL_MARK.join(names) or NO_LABEL) for image_id, names in sorted(labels.items()))
    csv.writer(text, lineterminator="\n").writerows([("image", "labels"), *rows])
    return text.getvalue()


def _inside(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _examples(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
