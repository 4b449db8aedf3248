"""Colours of classes, in the order of their mask values: those of VOC, and others for colour-blind eyes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wsss.data.images import voc_palette
from wsss.method.labels import IGNORE
from wsss.report.figures.gallery import AROUND, CLASS, COLDEST, HEAT, HOTTEST, STRIPES

Colours = NDArray[np.uint8]

OKABE_ITO = np.array(
    [
        (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
        (0, 114, 178), (213, 94, 0), (204, 121, 167),
    ],
    np.uint8,
)  # fmt: skip
"""The colours of Okabe and Ito that are neither black nor grey: all eyes tell them apart."""

SHADES = (1.0, 0.55, 1.6)
"""Beyond seven classes the colours come again darker, and then lighter: brightness differs for all eyes."""

LEVELS = 32
"""Colours of a heat map."""


def palettes(n_values: int) -> Mapping[str, Colours]:
    """The colours (C, 3) of mask values by the name of their palette, `voc` and `safe`."""
    return {"voc": voc_palette()[:n_values], "safe": safe_palette(n_values)}


def safe_palette(n_values: int) -> Colours:
    """Colours (C, 3) of mask values that differ for colour-blind eyes, background black.

    Those of 22 classes and more come again.
    """
    shades = np.concatenate([_shaded(shade) for shade in SHADES])
    places = np.arange(n_values - 1) % len(shades)
    return np.concatenate([np.zeros((1, 3), np.uint8), shades[places]])


def _shaded(factor: float) -> Colours:
    """Darken colours by a factor below 1; above 1 mix them with white."""
    if factor <= 1:
        return (OKABE_ITO * factor).round().astype(np.uint8)
    return (255 - (255 - OKABE_ITO.astype(np.float64)) * (2 - factor)).round().astype(np.uint8)


def layer(colours: Colours) -> NDArray[np.uint8]:
    """What lies over a grey photograph (C + 2, 4) in RGBA, by index: mask values, unknown's two stripes.

    It gives the picture that `wsss.report.figures.gallery.overlay` draws.
    """
    unknown = voc_palette()[IGNORE]
    solid = np.concatenate([[(255, 255, 255)], colours[1:], [unknown, unknown]])
    shares = [AROUND, *[CLASS] * (len(colours) - 1), *STRIPES]
    return np.column_stack([solid, np.round(255 * np.array(shares))]).astype(np.uint8)


def heat_layer() -> NDArray[np.uint8]:
    """What lies over a grey photograph (LEVELS, 4) in RGBA, by the strength of a CAM."""
    strength = np.linspace(0, 1, LEVELS)
    colours = HEAT(strength)
    colours[:, 3] = COLDEST + (HOTTEST - COLDEST) * strength
    return np.asarray((255 * colours).round(), np.uint8)
