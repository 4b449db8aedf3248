"""What image-level labels tell before any training: how many images classes have, and what will not work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

from wsss.stages.health.dataset import WANT

FEW = WANT
"""Fewer training images of a class are hardly enough to learn it from, as the alarm of a run says too."""

ENOUGH_TO_TELL = 5
"""So many images of two classes must be the same for it to mean something."""


@dataclass(frozen=True)
class LabelSurvey:
    """Labels of a data set.

    Attributes:
        class_names: all classes, in mask order.
        labels: names of an image's classes by image id; empty for an image of none of them.
        splits: `train`, `val` or `test` by image id.
    """

    class_names: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    splits: Mapping[str, str]

    def ids(self, split: str) -> list[str]:
        """Ids of a split's images."""
        return [image_id for image_id, found in self.splits.items() if found == split]

    def counts(self, split: str) -> dict[str, int]:
        """Number of a split's images of each class, in mask order."""
        shown = [name for image_id in self.ids(split) for name in self.labels.get(image_id, ())]
        return {name: shown.count(name) for name in self.class_names}

    def empty(self, split: str) -> int:
        """Number of a split's images of none of the classes."""
        return sum(not self.labels.get(image_id) for image_id in self.ids(split))

    def per_image(self) -> float:
        """Mean number of labels of an image."""
        return sum(map(len, self.labels.values())) / max(len(self.labels), 1)

    def table(self) -> list[str]:
        """A line per class with its images in train and val."""
        train, val = self.counts("train"), self.counts("val")
        width = max(map(len, [*self.class_names, "none of them"]))
        rows = [(name, train[name], val[name]) for name in self.class_names]
        rows.append(("none of them", self.empty("train"), self.empty("val")))
        rows.append(("images", len(self.ids("train")), len(self.ids("val"))))
        return [f"  {'':{width}}{'train':>8}{'val':>8}"] + [
            f"  {name:{width}}{in_train:>8}{in_val:>8}" for name, in_train, in_val in rows
        ]

    def warnings(self, own_splits: bool = False) -> Iterator[str]:
        """What will make the masks of some classes poor, one sentence each.

        Args:
            own_splits: whether the study divides the images into train and val, and so can do it otherwise.
        """
        train, val = self.counts("train"), self.counts("val")
        few = [f"{name} ({count})" for name, count in train.items() if count < FEW]
        if few:
            yield f"few training images: {', '.join(few)}; a class needs {FEW} or more, better 100"
        if absent := [name for name, count in val.items() if not count and train[name]]:
            remedy = "; raise dataset.holdout, or name images for val in dataset.splits" if own_splits else ""
            yield f"not in val, so the network is not tested on: {', '.join(absent)}{remedy}"
        everywhere = [name for name, count in train.items() if count == len(self.ids("train")) > 0]
        if everywhere:
            yield (
                f"every training image shows {', '.join(everywhere)}: nothing tells it from its setting; "
                "add images without it, with the label `background`"
            )
        yield from self._companions(set(everywhere))

    def _companions(self, left_out: set[str]) -> Iterator[str]:
        """Classes that never come without another one: their labels do not say which is which."""
        images = {name: self._showing(name) for name in self.class_names if name not in left_out}
        for name, other in permutations(images, 2):
            shown, shown_too = images[name], images[other]
            if len(shown) < ENOUGH_TO_TELL or not shown <= shown_too:
                continue
            if shown == shown_too and name > other:
                continue  # said before, the other way round
            said = (
                f"{name} and {other} always come together"
                if shown == shown_too
                else (f"{name} never comes without {other}")
            )
            yield f"{said} ({len(shown)} images): labels alone cannot tell them apart"

    def _showing(self, name: str) -> set[str]:
        return {image_id for image_id in self.ids("train") if name in self.labels.get(image_id, ())}
