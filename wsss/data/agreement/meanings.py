"""Other meanings that mask values may have: usual ones by name, and the one that fits the labels best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from wsss.data.agreement.statistics import Meaning, Statistics
from wsss.data.images import voc_palette
from wsss.data.voc12_annotations import CLASSES as VOC_CLASSES
from wsss.method.labels import BACKGROUND, IGNORE, class_values, value_names

FITS = 0.8
"""Agreement from which on a meaning is believed."""

GAIN = 0.2
"""A meaning must fit so much better than the values as they are."""

ENOUGH = 3
"""Fewer labelled images tell nothing."""

USUAL = 0.05
"""A usual meaning is preferred to the best one if it fits nearly as well."""


class Candidate(NamedTuple):
    """A meaning of the values, and why they might have it."""

    meaning: Meaning
    why: str
    by_colour: bool = False


def best_candidate(statistics: Statistics) -> Candidate | None:
    """Return the meaning that fits the labels well, where the values as they are do not; None without one."""
    now = statistics.agreement(statistics.identity)
    labelled = statistics.labelled.any(1) & statistics.known
    if labelled.sum() < ENOUGH:
        return None
    usual = [(statistics.agreement(c.meaning), c) for c in _usual(statistics)]
    free = Candidate(assigned(statistics), "the values fit the labels only in this order")
    fit, found = max(usual, key=lambda pair: pair[0], default=(0.0, free))
    several = len({tuple(row) for row in statistics.labelled[labelled].tolist()}) > 1
    if several and (best := statistics.agreement(free.meaning)) > fit + USUAL:
        fit, found = best, free
    return found if fit >= max(FITS, now + GAIN) else None


def _usual(statistics: Statistics) -> Iterator[Candidate]:
    """Yield meanings with known causes, the likeliest first."""
    names, values = statistics.class_names, statistics.values
    count = len(names)
    if colours := _by_voc_colours(statistics):
        yield Candidate(
            colours, "the colours of the palettes are VOC's, but in another order", by_colour=True
        )
    yield Candidate(
        {value: IGNORE if value == IGNORE else max(value - 1, 0) for value in values},
        "all values are one too high, as if the exporter had counted `__ignore__` or `_background_` among "
        "the classes",
    )
    yield Candidate(
        {value: BACKGROUND if value in (IGNORE, count) else value + 1 for value in values},
        "all values are one too low: the classes count from 0, so that the first is taken for background",
    )
    alphabet = _by_order(sorted(names), names)
    yield Candidate(alphabet, "the values follow the alphabetical order of the classes")
    yield Candidate(_by_order(names[::-1], names), "the values follow the classes in reverse order")
    if set(names) <= set(VOC_CLASSES):
        yield Candidate(_by_order(VOC_CLASSES, names), "the values are those of the 20 classes of VOC")
    others = [value for value in values if value != BACKGROUND]
    for spread in (others, [value for value in others if value != IGNORE]):
        if len(spread) == count:
            order = dict(zip(spread, class_values(range(count)).tolist(), strict=True))
            yield Candidate({BACKGROUND: BACKGROUND, IGNORE: IGNORE} | order, "the values have gaps")


def _by_order(order: Sequence[str], names: Sequence[str]) -> Meaning:
    """Return the meaning of 1, 2, … as the names in an order; those that are no class are background."""
    known = value_names(names)
    places = {value: name for value, name in enumerate(order, start=1)}
    return {BACKGROUND: BACKGROUND, IGNORE: IGNORE} | {
        value: known.index(name) if name in known else BACKGROUND for value, name in places.items()
    }


def _by_voc_colours(statistics: Statistics) -> Meaning | None:
    """Return the values whose colours in VOC's palette the files show, if these are others."""
    of_voc = {(r, g, b): value for value, (r, g, b) in enumerate(voc_palette().tolist())}
    allowed = {*range(len(statistics.class_names) + 1), IGNORE}
    meaning: dict[int, int] = {}
    for value in statistics.values:
        colours = statistics.colours.get(value, set())
        meant = {of_voc.get(colour) for colour in colours}
        if len(meant) != 1 or not meant <= allowed:
            return None
        meaning[value] = meant.pop() or BACKGROUND
    return meaning if meaning != statistics.identity else None


def assigned(statistics: Statistics) -> dict[int, int]:
    """Give each value the class in whose images it occurs, so that all together fit best.

    Background may be the value that is in nearly all images, whatever it is.
    """
    everywhere = np.ones((len(statistics), 1), bool)
    targets = np.concatenate([everywhere, statistics.labelled], 1)[statistics.known]
    shown = statistics.shown[statistics.known]
    both = shown.T.astype(np.int64) @ targets
    either = shown.sum(0)[:, None] + targets.sum(0)[None] - both
    fit = both / np.maximum(either, 1)
    # Of equally good ones a value means itself.
    for place, value in enumerate(statistics.values):
        if value <= len(statistics.class_names):
            fit[place, value] += 1e-6
    places, meant = linear_sum_assignment(-fit)
    chosen = dict(zip(places.tolist(), meant.tolist(), strict=True))
    left = {value: IGNORE if value == IGNORE else BACKGROUND for value in statistics.values}
    return left | {
        statistics.values[place]: value for place, value in chosen.items() if fit[place, value] >= 0.5
    }


def as_key(meaning: Meaning, statistics: Statistics) -> str:
    """Write the key `mask_values` that gives the values a meaning."""
    names = {**dict(enumerate(value_names(statistics.class_names))), IGNORE: "void"}
    return written(meaning, names, statistics.values)


def written(meaning: Meaning, names: Mapping[int, str], values: Sequence[int]) -> str:
    """Write a key of YAML; names that YAML would read otherwise are quoted."""
    pairs = (f"{value}: {_quoted(names[meaning.get(value, BACKGROUND)])}" for value in values)
    return f"mask_values: {{{', '.join(pairs)}}}"


def _quoted(name: str) -> str:
    return (
        name
        if name.replace(" ", "").replace("_", "").isalpha() and name.lower() not in _YAML
        else f'"{name}"'
    )


_YAML = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
