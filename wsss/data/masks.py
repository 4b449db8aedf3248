"""True masks, from what people have to mask values: by colour, or by what other values mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wsss.data.class_names import is_background, is_void
from wsss.data.images import palette_of, read_colours, read_mask, read_values, voc_palette
from wsss.data.problems import Problems
from wsss.data.text import lines_of
from wsss.method.labels import BACKGROUND, IGNORE, class_values
from wsss.study.sources import VOC_PALETTE
from wsss.study.words import did_you_mean

Colour = tuple[int, int, int]

SHOWN = 5
"""So many values or colours are named that have no meaning."""

_HEX = re.compile(r"#([0-9a-fA-F]{6})\b")
_NUMBERS = re.compile(r"(?<![\w.])(\d{1,3})[\s,;:]+(\d{1,3})[\s,;:]+(\d{1,3})(?![\w.])")


class MaskFacts(NamedTuple):
    """What the comparison with the labels needs of a mask.

    Attributes:
        counts: Number of pixels by value.
        frame: The same for the pixels on the image's border.
        colours: Colours by index of those that occur, if the file has a palette.
    """

    counts: Mapping[int, int]
    frame: Mapping[int, int]
    colours: Mapping[int, Colour]


@dataclass(frozen=True)
class MaskReader:
    """Reads the masks of a data set.

    Attributes:
        by_colour: Mask values by colour; None: values are read, not colours.
        by_value: Mask values by the value in the file; None: they are the same.
    """

    by_colour: Mapping[Colour, int] | None = None
    by_value: Mapping[int, int] | None = None

    @property
    def converts(self) -> bool:
        """Whether masks mean something else than their values say."""
        return self.by_colour is not None or self.by_value is not None

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read a mask (H, W) uint8 of mask values.

        Raises:
            ValueError: The file cannot be decoded, or holds colours or values without a meaning.
            OSError: It cannot be read.
        """
        if self.by_colour is not None:
            red, green, blue = np.moveaxis(read_colours(path).astype(np.int64), 2, 0)
            codes = {(r << 16) | (g << 8) | b: value for (r, g, b), value in self.by_colour.items()}
            return _translated(path, (red << 16) | (green << 8) | blue, codes, _as_colour, "the palette")
        if self.by_value is not None:
            return _translated(path, read_values(path), self.by_value, str, "`mask_values`")
        return read_mask(path)


def _translated(
    path: Path, found: NDArray[np.int64], meaning: Mapping[int, int], show: Callable[[int], str], by: str
) -> NDArray[np.uint8]:
    """Replace what a file holds by mask values."""
    kinds, places, counts = np.unique(found, return_inverse=True, return_counts=True)
    known = kinds.tolist()
    if strange := [number for number, kind in enumerate(known) if kind not in meaning]:
        strange.sort(key=lambda number: -counts[number])
        named = ", ".join(f"{show(known[number])} ({counts[number]} pixels)" for number in strange[:SHOWN])
        more = f" and {len(strange) - SHOWN} more" if len(strange) > SHOWN else ""
        raise ValueError(f"{path}: holds {named}{more}, which {by} does not name")
    values = np.array([meaning[kind] for kind in known], np.uint8)
    return values[places].reshape(found.shape)


def _as_colour(code: int) -> str:
    return f"[{code >> 16}, {code >> 8 & 255}, {code & 255}]"


def facts_of(path: Path, mask: NDArray[np.uint8]) -> MaskFacts:
    """Collect what the comparison with the labels needs of a mask (H, W) uint8 and of its file."""
    frame = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    counts = _counted(mask)
    palette = palette_of(path)
    return MaskFacts(counts, _counted(frame), {index: palette[index] for index in counts if index in palette})


def _counted(mask: NDArray[np.uint8]) -> dict[int, int]:
    return {value: n for value, n in enumerate(np.bincount(mask.reshape(-1)).tolist()) if n}


def mask_value(name: str, classes: Sequence[str]) -> int | None:
    """Return the mask value of a class, of the background, or of void; None for another name."""
    if name in classes:
        return int(class_values([classes.index(name)])[0])
    if is_background(name):
        return BACKGROUND
    return IGNORE if is_void(name) else None


def mask_reader(
    palette: str | None,
    values: Mapping[int, str] | None,
    root: Path,
    classes: Sequence[str],
    problems: Problems,
) -> MaskReader:
    """Make the reader for the keys `palette` and `mask_values` of a folder data set."""
    if values is not None:
        named = {value: (f"`mask_values`: {value}", name) for value, name in values.items()}
        return MaskReader(by_value=_meanings(named, classes, problems))
    if palette is None:
        return MaskReader()
    if palette == VOC_PALETTE:
        colours = [(r, g, b) for r, g, b in voc_palette().tolist()]
        used = (*range(len(classes) + 1), IGNORE)
        return MaskReader(by_colour={colours[value]: value for value in used})
    return MaskReader(by_colour=read_palette(root / palette, classes, problems))


def read_palette(path: Path, classes: Sequence[str], problems: Problems) -> dict[Colour, int]:
    """Read the meaning of colours: a line for each, with a name and three numbers, or `#rrggbb`.

    CVAT's `labelmap.txt` (`cat:128,0,0::`), CamVid's `128 0 0 cat` and tables `cat,128,0,0` are such files.
    """
    named: dict[Colour, tuple[str, str]] = {}
    for place, line in lines_of(path, "bad palette", problems):
        colour, rest = _colour(line)
        name = rest.strip(" \t,;:\"'")
        if colour is None:
            if not line.startswith("#") and named:  # the first lines may say what the columns are
                problems.add("bad palette", f"{place}: {line!r:.60} has no colour, as in `cat 128 0 0`")
        elif colour in named:
            problems.add("bad palette", f"{place}: {list(colour)} is already {named[colour][1]!r}")
        else:
            named[colour] = place, name
    return _meanings(named, classes, problems)


def _colour(line: str) -> tuple[Colour | None, str]:
    """Return the colour in a line, and the line without it."""
    if found := _HEX.search(line):
        red, green, blue = bytes.fromhex(found[1])
    elif found := _NUMBERS.search(line):
        red, green, blue = (int(number) for number in found.groups())
    if not found or max(red, green, blue) > 255:
        return None, line
    return (red, green, blue), line[: found.start()] + line[found.end() :]


Key = TypeVar("Key", int, Colour)


def _meanings(
    named: Mapping[Key, tuple[str, str]], classes: Sequence[str], problems: Problems
) -> dict[Key, int]:
    """Return the mask values of what has a name, given with its place."""
    meanings = {}
    for key, (place, name) in named.items():
        value = mask_value(name, classes)
        if value is not None:
            meanings[key] = value
        elif classes:
            hint = did_you_mean(name, classes) or ", expected a class, `background` or `void`"
            problems.add("unknown class", f"{place}: {name!r}{hint}")
    return meanings
