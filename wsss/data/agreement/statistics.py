"""Which mask values occur in which images, and how well that fits the image-level labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.data.masks import Colour, MaskFacts
from wsss.method.labels import BACKGROUND, IGNORE

Presence = NDArray[np.bool_]
Meaning = Mapping[int, int]
"""Mask values by the value that a file holds for them."""


@dataclass(frozen=True)
class Statistics:
    """Labels and masks of the same images, in ascending order of ids.

    Attributes:
        class_names: Of the data set.
        ids: Of the images.
        paths: Their mask files.
        facts: What is in these.
        labelled: (N, C) whether image n has the label c.
    """

    class_names: tuple[str, ...]
    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    facts: tuple[MaskFacts, ...]
    labelled: Presence

    @classmethod
    def of(
        cls,
        class_names: Sequence[str],
        labels: Mapping[str, Sequence[int]],
        masks: Mapping[str, Path],
        facts: Mapping[str, MaskFacts],
    ) -> Statistics:
        """Put together what is known of the images that have labels and a mask; labels are class indices."""
        ids = tuple(sorted(labels.keys() & facts.keys()))
        labelled = np.zeros((len(ids), len(class_names)), bool)
        for number, image_id in enumerate(ids):
            labelled[number, list(labels[image_id])] = True
        paths = tuple(masks[image_id] for image_id in ids)
        return cls(tuple(class_names), ids, paths, tuple(facts[image_id] for image_id in ids), labelled)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def values(self) -> list[int]:
        """All values that occur, ascending."""
        return sorted({value for facts in self.facts for value in facts.counts})

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """Number of pixels (N, V) by image and place among `values`."""
        return np.array([[facts.counts.get(value, 0) for value in self.values] for facts in self.facts])

    @cached_property
    def shown(self) -> Presence:
        """(N, V) whether image n has pixels of the value at place v."""
        return self.pixels > 0

    @cached_property
    def known(self) -> Presence:
        """(N,) whether anything but void is in the mask."""
        return np.asarray(self.shown[:, np.array(self.values) != IGNORE].any(axis=1))

    @cached_property
    def unknown_values(self) -> list[int]:
        """Values that no class has."""
        return [value for value in self.values if len(self.class_names) < value != IGNORE]

    @cached_property
    def foreground(self) -> list[int]:
        """Values other than those of background and void."""
        return [value for value in self.values if value not in (BACKGROUND, IGNORE)]

    @cached_property
    def colours(self) -> dict[int, set[Colour]]:
        """Colours that the palettes of the files give to each value that occurs."""
        found: dict[int, set[Colour]] = {}
        for facts in self.facts:
            for value, colour in facts.colours.items():
                found.setdefault(value, set()).add(colour)
        return found

    @cached_property
    def identity(self) -> Meaning:
        """Every value means itself."""
        return {value: value for value in self.values}

    def masked(self, meaning: Meaning) -> Presence:
        """(N, C) whether the mask of image n shows class c, if values mean this."""
        masked = np.zeros((len(self), len(self.class_names)), bool)
        for place, value in enumerate(self.values):
            index = meaning.get(value, BACKGROUND) - 1
            if 0 <= index < len(self.class_names):
                masked[:, index] |= self.shown[:, place]
        return masked

    def agreement(self, meaning: Meaning, shift: int = 0) -> float:
        """Mean over images of classes in label and mask, of those in either, if values mean this.

        Args:
            meaning: Of the values.
            shift: How many places the labels are moved along the images before.
        """
        labelled, masked = np.roll(self.labelled, shift, 0)[self.known], self.masked(meaning)[self.known]
        either = (labelled | masked).sum(1)
        both = (labelled & masked).sum(1)
        # Images without class on both sides agree, but do not tell meanings apart.
        return float((both[either > 0] / either[either > 0]).mean()) if (either > 0).any() else 1.0
