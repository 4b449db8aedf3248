"""Why masks do not fit the labels: each cause with what tells it, and what helps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wsss.data.agreement.meanings import FITS, GAIN, as_key, best_candidate
from wsss.data.agreement.statistics import Statistics
from wsss.method.labels import BACKGROUND, IGNORE

MOST = 0.9
"""Share of the images that must show a fault of the whole data set."""

MANY_VALUES = 24
"""More different unknown values in one mask come from resizing or compression, not from classes."""

SEVERAL = 3
"""In fewer masks a value of no class is told by file."""

ROWS = 6
"""Fewer images cannot tell that the rows of a table have slipped."""


def find_cause(statistics: Statistics) -> str | None:
    """Return the likely cause of a fault of the whole data set, and what helps; None if there is none."""
    for cause in CAUSES:
        if found := cause(statistics):
            return found
    return None


def _white_objects(statistics: Statistics) -> str | None:
    """Objects in white: 255 is void here, so that nothing but background would be scored."""
    names = statistics.class_names
    if statistics.values != [BACKGROUND, IGNORE] or not statistics.labelled.any():
        return None
    if len(names) > 1:
        return (
            "all masks hold 0 and 255 only, black and white: they do not tell the classes apart. 255 is "
            "void here, so nothing would be scored; without such masks: `masks: null`"
        )
    white_outside = _share_of_frame(statistics, IGNORE) > 0.5
    meaning = {BACKGROUND: 1, IGNORE: 0} if white_outside else {BACKGROUND: 0, IGNORE: 1}
    colour = "black" if white_outside else "white"
    return (
        f"all masks hold 0 and 255 only, black and white, and 255 is void here, so that no {names[0]} would "
        f"be scored; if {colour} is {names[0]}: `{as_key(meaning, statistics)}`"
    )


def _share_of_frame(statistics: Statistics, value: int) -> float:
    of_value = sum(facts.frame.get(value, 0) for facts in statistics.facts)
    return of_value / max(sum(sum(facts.frame.values()) for facts in statistics.facts), 1)


def _foreground_alone(statistics: Statistics) -> str | None:
    """One value for all classes."""
    if len(statistics.class_names) < 2 or len(statistics.foreground) != 1:
        return None
    (value,) = statistics.foreground
    place = statistics.values.index(value)
    if (statistics.labelled.any(0).sum() < 2) or not _nearly_all(
        statistics.shown[statistics.labelled.any(1), place]
    ):
        return None
    return (
        f"all masks hold the value {value} for objects of any class: they do not tell the classes apart; "
        "without such masks: `masks: null`"
    )


def _nearly_all(flags: np.ndarray) -> bool:
    return len(flags) > 0 and float(flags.mean()) >= MOST


def _empty_masks(statistics: Statistics) -> str | None:
    """Masks without objects, of images that have labels: annotations without outlines."""
    labelled = statistics.labelled.any(1)
    if statistics.values not in ([BACKGROUND], [BACKGROUND, IGNORE]) or not labelled.any():
        return None
    shown = statistics.pixels[:, statistics.values.index(BACKGROUND)]
    if not _nearly_all(shown[labelled] > 0):
        return None
    return (
        f"all masks are background alone, but {labelled.sum()} of their images have labels: annotations "
        "without outlines (boxes or labels alone) give empty masks; without masks: `masks: null`"
    )


def _blurred(statistics: Statistics) -> str | None:
    """Values in between, along edges."""
    unknown = np.array([value in statistics.unknown_values for value in statistics.values], bool)
    many = statistics.shown[:, unknown].sum(1) > MANY_VALUES
    if not many.any() or many.mean() < 0.3:
        return None
    example = statistics.paths[int(many.argmax())]
    count = int(statistics.shown[int(many.argmax())].sum())
    return (
        f"{int(many.sum())} of {len(statistics)} masks hold many values in between, e.g. {count} in "
        f"{example}: they were resized with interpolation, smoothed, or saved as JPEG; export them anew, "
        "resize with nearest neighbour, and save as PNG"
    )


def _mixed_palettes(statistics: Statistics) -> str | None:
    """Every file with a palette of its own, whose indices mean other colours."""
    mixed = {value: colours for value, colours in statistics.colours.items() if len(colours) > 1}
    if not mixed or statistics.agreement(statistics.identity) >= MOST:
        return None
    value, colours = min(mixed.items())
    shown = " and ".join(str(list(colour)) for colour in sorted(colours)[:3])
    return (
        f"the palettes of the masks differ: the value {value} has the colours {shown}. The indices mean "
        "another class in each file, the colours may not: `palette: voc`, or `palette: <file>` with lines "
        "`cat 128 0 0`, read these"
    )


def _other_meaning(statistics: Statistics) -> str | None:
    """Values that mean other classes."""
    found = best_candidate(statistics)
    if found is None:
        return None
    now, then = statistics.agreement(statistics.identity), statistics.agreement(found.meaning)
    fix = "palette: voc" if found.by_colour else as_key(found.meaning, statistics)
    return (
        f"{found.why} (labels and masks share {now:.0%} of their classes as it is, {then:.0%} with the key): "
        f"`{fix}`, or correct the list of classes"
    )


def _other_void(statistics: Statistics) -> str | None:
    """A value of no class in several masks whose other values fit the labels: void, or a class not listed."""
    if len(statistics.unknown_values) != 1 or statistics.agreement(statistics.identity) < FITS:
        return None
    (value,) = statistics.unknown_values
    shown = statistics.shown[:, statistics.values.index(value)]
    if shown.sum() < SEVERAL:
        return None
    fix = as_key({**statistics.identity, value: IGNORE}, statistics)
    return (
        f"{shown.sum()} masks hold the value {value}, which is none of the classes, while the others fit the "
        f"labels; if it is void: `{fix}`, if a class, add it to the list"
    )


def _instances(statistics: Statistics) -> str | None:
    """A number for each object."""
    objects = [
        [v for v in sorted(facts.counts) if v not in (BACKGROUND, IGNORE)] for facts in statistics.facts
    ]
    with_objects = [values for values in objects if values]
    consecutive = [values == list(range(1, len(values) + 1)) for values in with_objects]
    if len(consecutive) < 3 or np.mean(consecutive) < MOST or len(statistics.foreground) < 2:
        return None
    more_than_classes = bool(statistics.unknown_values)
    different = len(set(map(len, with_objects)))
    if not more_than_classes and (different < 3 or statistics.agreement(statistics.identity) >= 0.5):
        return None
    return (
        "the values count 1, 2, … anew in each mask, up to "
        f"{max(statistics.foreground)}: they number the objects, not the classes; export masks of classes "
        "(semantic, not instance masks), or `masks: null`"
    )


def _slipped_rows(statistics: Statistics) -> str | None:
    """Labels of the neighbour in the list."""
    if len(statistics) < ROWS:
        return None
    now = statistics.agreement(statistics.identity)
    for shift, where in ((1, "previous"), (-1, "next")):
        if statistics.agreement(statistics.identity, shift) >= max(FITS, now + GAIN):
            return (
                f"the masks fit the labels of the {where} image in the order of names: rows of the label "
                "file have slipped by one, or the masks are named from another number on"
            )
    return None


CAUSES: tuple[Callable[[Statistics], str | None], ...] = (
    _white_objects,
    _empty_masks,
    _blurred,
    _mixed_palettes,
    _other_meaning,
    _foreground_alone,
    _slipped_rows,
    _instances,
    _other_void,
)
"""The surer ones first."""
