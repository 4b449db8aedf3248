"""The comparison of labels and masks: refused where it goes wrong as a whole, else told class by class."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wsss.data.agreement.causes import find_cause
from wsss.data.agreement.statistics import Statistics
from wsss.data.checks import CheckedMasks
from wsss.data.problems import Problems
from wsss.method.labels import IGNORE, value_names

DISAGREE = 0.5
"""Agreement of labels and masks below which scores would mean nothing."""

DOUBTFUL = 0.8
"""Agreement below which there is a warning."""

FEW = 4
"""Fewer images are not refused as a whole."""

SEVERAL = 5
"""So many images with a label, or a mask, of a class that no mask, or no label, has: an error."""

EXAMPLES = 3

logger = logging.getLogger(__name__)


def compare_masks(
    classes: Sequence[str],
    labels: Mapping[str, Sequence[int]],
    masks: CheckedMasks,
    where: Path | str,
    problems: Problems,
) -> None:
    """Compare the masks of images with their labels.

    Args:
        classes: Class names in the order of mask values.
        labels: Class indices by image id; of images without an entry nothing is compared.
        masks: What is in the masks.
        where: What messages call the masks as a whole: their folder.
        problems: Collects unknown values, and what is wrong with all masks, with the likely cause. Doubts
            about single classes and images are warnings.
    """
    statistics = Statistics.of(classes, labels, masks.paths, masks.facts)
    if not len(statistics) or not classes:
        _tell_unknown_values(classes, masks, problems)
        return
    if cause := find_cause(statistics):
        problems.add("masks and labels disagree", f"{where}: {cause}")
        return
    if not statistics.known.any():
        logger.warning(
            "%s: every pixel of all %d masks is %d, void: nothing can be scored",
            where,
            len(statistics),
            IGNORE,
        )
        return
    _tell_unknown_values(classes, masks, problems)
    if not statistics.unknown_values:
        _compare_classes(statistics, where, problems)


def _tell_unknown_values(classes: Sequence[str], masks: CheckedMasks, problems: Problems) -> None:
    for image_id, facts in masks.facts.items():
        found = sorted(value for value in facts.counts if len(classes) < value != IGNORE)
        if found and classes:
            said = f"values {found}, expected 0 … {len(classes)} and {IGNORE}"
            problems.add("mask with an unknown class", f"{masks.paths[image_id]}: {said}")


def _compare_classes(statistics: Statistics, where: Path | str, problems: Problems) -> None:
    """Tell classes that only labels or only masks have, and the agreement of all images."""
    masked = statistics.masked(statistics.identity)[statistics.known]
    labelled = statistics.labelled[statistics.known]
    one_sided = False
    for index, name in enumerate(value_names(statistics.class_names)[1:]):
        in_labels, in_masks = int(labelled[:, index].sum()), int(masked[:, index].sum())
        said = None
        if in_labels and not in_masks:
            said = (
                f"{name!r} is a label of {in_labels} images with masks, but no mask has its value "
                f"{index + 1}: was it not outlined, or does it have another value?"
            )
        elif in_masks and not in_labels:
            said = (
                f"{in_masks} masks have the value {index + 1}, {name!r}, but none of their images has this "
                "label: is the list of classes in the order of the values?"
            )
        if said:
            one_sided = True
            _tell(said, where, max(in_labels, in_masks) >= SEVERAL, problems)
    share = statistics.agreement(statistics.identity)
    if share < DOUBTFUL and not one_sided:
        said = _disagreement(statistics, share)
        _tell(said, where, share < DISAGREE and len(labelled) >= FEW, problems)


def _tell(said: str, where: Path | str, is_error: bool, problems: Problems) -> None:
    if is_error:
        problems.add("masks and labels disagree", f"{where}: {said}; scores would mean nothing")
    else:
        logger.warning("%s: %s", where, said)


def _disagreement(statistics: Statistics, share: float) -> str:
    """Say how little labels and masks agree, with the images in which they do least."""
    masked = statistics.masked(statistics.identity)
    differing = ((masked != statistics.labelled) & statistics.known[:, None]).sum(1)
    worst = np.argsort(-differing, kind="stable")[:EXAMPLES]
    examples = "; ".join(
        f"{statistics.ids[number]}: labels {_named(statistics, statistics.labelled[number])}, mask "
        f"{_named(statistics, masked[number])}"
        for number in worst
        if differing[number]
    )
    return f"labels and masks of the same image share {share:.0%} of their classes ({examples})"


def _named(statistics: Statistics, flags: np.ndarray) -> str:
    names = [name for name, has in zip(statistics.class_names, flags, strict=True) if has]
    return " ".join(names) or "none"
