"""Settings that follow the photographs: from their sizes and number to the values that `auto` stands for.

docs/settings.md has their reasons and measurements. What a training settles on is in its checkpoint and its
manifest, and everything after it reads it from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median_low
from typing import Any, TypeVar

from pydantic import BaseModel

from wsss.study.config import AffinityNet, Classifier, IRNet, Segmenter
from wsss.study.config.fields import AUTO

CELL = 8
"""Pixels of the scaled image along a cell of the grid of the affinities."""

CELLS = 64
"""Cells along the longest side: of 4 px on an image of 256 px, and of 8 px on one of 512."""

CROP_SHARE = 7 / 8
"""Of the longest side: a crop that is nearly all of the image shows the objects whose labels it is given."""

CROP_STEP = 32
SMALLEST_CROP, LARGEST_CROP = 64, 448
"""The largest is the published one; the memory of a training grows with the square."""

STEPS = {"Classifier": 600, "AffinityNet": 500, "IRNet": 500, "Segmenter": 1200}
"""Of a training, by section: what studies with pretrained backbones took that went well."""

FEWEST_EPOCHS, MOST_EPOCHS = 1.0, 30.0
"""Few images are not seen more often than that: their labels would be learned by heart."""

FOLLOWING = ("input_scale", "crop_size", "epochs")
"""Keys of networks that can say `auto`."""

Trained = TypeVar("Trained", Classifier, AffinityNet, IRNet, Segmenter)


def median_longest_side(sizes: Iterable[tuple[int, int]]) -> int:
    """Median of the longest side of images of these heights and widths, in pixels: one that an image has.

    Raises:
        ValueError: there is no image.
    """
    return median_low(map(max, sizes))


def input_scale(longest_side: int) -> float:
    """Resize factor that gives the affinities `CELLS` cells along the longest side, in two digits.

    Two digits, so that a few more images change the median, but not the factor.
    """
    return float(f"{CELL * CELLS / longest_side:.2g}")


def crop_size(longest_side: int) -> int:
    """Side of the training crops for images of this size: a multiple of 32 between 64 and 448."""
    nearest = CROP_STEP * round(CROP_SHARE * longest_side / CROP_STEP)
    return min(max(nearest, SMALLEST_CROP), LARGEST_CROP)


def epochs(steps: int, images: int, batch_size: int) -> float:
    """Passes over this many images that make this many steps, in two digits, from 1 to 30."""
    needed = float(f"{steps * batch_size / max(images, 1):.2g}")
    return min(max(needed, FEWEST_EPOCHS), MOST_EPOCHS)


def settled_section(section: Trained, sizes: Sequence[tuple[int, int]]) -> Trained:
    """A network's section with numbers in place of `auto`, for images of these heights and widths."""
    keys = [key for key in FOLLOWING if getattr(section, key, None) == AUTO]
    if not keys:
        return section
    side = median_longest_side(sizes)
    resized = getattr(section, "longest_side", None) or side
    values: dict[str, Any] = {
        "input_scale": input_scale(side),
        "crop_size": crop_size(resized),
        "epochs": epochs(STEPS[type(section).__name__], len(sizes), section.batch_size),
    }
    return section.model_copy(update={key: values[key] for key in keys})


def settled_values(before: BaseModel, after: BaseModel, path: str) -> dict[str, Any]:
    """The values by key path, below `path`, of the keys that say `auto` before and not after."""
    found: dict[str, Any] = {}
    for key, value in after:
        here, given = f"{path}.{key}", getattr(before, key)
        if isinstance(value, BaseModel):
            found |= settled_values(given, value, here)
        elif given == AUTO != value:
            found[here] = value
    return found
