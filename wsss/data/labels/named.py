"""What every layout is read into: images with the names of their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsss.data.class_names import is_no_class
from wsss.data.problems import Problems


@dataclass(frozen=True)
class Labels:
    """A data set as it lies on disk, before anything is made of it.

    Attributes:
        images: Image files by id.
        labels: Names of the classes by image id, in the order of `class_names`; an empty tuple is an image of
            none of the classes. Images that nobody has labelled have no entry.
        class_names: Without background, in the order in which masks would number them from 1 on.
        splits: `train`, `val` or `test` by image id, where the layout tells them.
        problems: What is wrong; empty if all could be read.
    """

    images: Mapping[str, Path]
    labels: Mapping[str, tuple[str, ...]]
    class_names: tuple[str, ...]
    splits: Mapping[str, str] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    @property
    def unlabelled(self) -> list[str]:
        """Ids of images without an entry among the labels, ascending."""
        return sorted(self.images.keys() - self.labels.keys())


def in_order(names: Iterable[str], class_names: Iterable[str]) -> tuple[str, ...]:
    """Sort the names of an image's classes as the class names are, each once."""
    wanted = set(names)
    return tuple(name for name in class_names if name in wanted)


def labels_of(
    images: Mapping[str, Path],
    found: Mapping[str, Iterable[str]],
    problems: Problems,
    class_names: Iterable[str] | None = None,
    splits: Mapping[str, str] | None = None,
) -> Labels:
    """Collect names found in images; without a given order the classes are in that of the alphabet.

    Spaces around a name do not count. Names that differ in capitals alone are a problem.
    """
    named = {
        image_id: {name for given in names if (name := given.strip()) and not is_no_class(name)}
        for image_id, names in sorted(found.items())
        if image_id in images
    }
    classes = tuple(sorted(set().union(*named.values())) if class_names is None else class_names)
    alike: dict[str, list[str]] = {}
    for name in classes:
        alike.setdefault(name.casefold(), []).append(name)
    for first, *others in alike.values():
        if others:
            said = f"{' and '.join(map(repr, (first, *others)))} differ in capitals alone"
            problems.add("two spellings of a class", f"{said}: write them alike, or rename one")
    labels = {image_id: in_order(names, classes) for image_id, names in named.items()}
    return Labels(images, labels, classes, splits or {}, problems)
