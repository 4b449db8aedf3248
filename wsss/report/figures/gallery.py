"""Images side by side with what each stage makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from wsss.data.images import voc_palette
from wsss.method.labels import BACKGROUND, IGNORE
from wsss.report.figures.style import MUTED, PAPER, axes_at, heading, notice, styled
from wsss.results import Cams

Picture = NDArray[np.uint8]
LabelMap = NDArray[np.uint8]

COLOURS = voc_palette()
HEAT = colormaps["turbo"]

WIDTH, MARGIN, GAP, APART, ABOVE, BELOW = 13.2, 0.2, 0.06, 0.3, 1.2, 0.55
"""Inches: the figure; its margin; between panels, and images, of a line; above and below the panels."""

CLASS, AROUND, STRIPES = 0.72, 0.55, (0.95, 0.6)
"""Share of an overlay in its picture: of a class, of the white over the background, of unknown's stripes."""

COLDEST, HOTTEST = 0.4, 0.7
"""Share of a heat map in its picture."""

COLUMNS = 6
"""Panels in a line, of one image or several."""

TALLEST = 1.1
"""Height of the tallest panel as a multiple of its width."""

LONGEST = 500
"""Pixels of an image's longest side that are worth keeping for a panel."""


class Exhibit(NamedTuple):
    """One image, and what the study makes of it.

    Attributes:
        name: the image's id.
        image: (H, W, 3) uint8.
        cams: its CAMs, or None to leave them out.
        masks: label maps (H, W) uint8 by heading, in the order in which to show them.
        miou: of those masks that have one, in [0, 1], by heading.
    """

    name: str
    image: Picture
    cams: Cams | None
    masks: Mapping[str, LabelMap]
    miou: Mapping[str, float]

    @property
    def headings(self) -> list[str]:
        """What the panels show."""
        return ["photograph", *(["CAM"] if self.cams else []), *self.masks]

    def thinned(self) -> Exhibit:
        """Leave out rows and columns, so that a large photograph does not fill the memory."""
        step = max(1, max(self.image.shape) // LONGEST)
        cams = self.cams and self.cams._replace(scores=self.cams.scores[:, ::step, ::step].copy())
        masks = {name: mask[::step, ::step].copy() for name, mask in self.masks.items()}
        return self._replace(image=self.image[::step, ::step].copy(), cams=cams, masks=masks)


@styled
def plot_gallery(exhibits: Sequence[Exhibit], names: Sequence[str], title: str, subtitle: str) -> Figure:
    """Draw images side by side with what the study makes of them, as many to a line as fit.

    Args:
        exhibits: the images, all with the same headings.
        names: of the mask values, background first.
        title: what they have in common.
        subtitle: a line below the title.
    """
    if not exhibits:
        return notice(title, "no images to show")
    n_panels = len(exhibits[0].headings)
    per_line = max(1, COLUMNS // n_panels)
    panel = (WIDTH - 2 * MARGIN - (per_line - 1) * APART) / (per_line * n_panels) - GAP
    lines = [exhibits[first : first + per_line] for first in range(0, len(exhibits), per_line)]
    heights = [panel * min(TALLEST, max(_steepness(exhibit) for exhibit in line)) for line in lines]
    figure = Figure(figsize=(WIDTH, ABOVE + sum(heights) + GAP * len(lines) + BELOW))
    heading(figure, title, subtitle)
    top = figure.get_figheight() - ABOVE
    for line, height in zip(lines, heights, strict=True):
        for exhibit, row in zip(line, _rows_of_axes(figure, top, panel, height, n_panels), strict=False):
            _draw_exhibit(row, exhibit, names, with_headings=line is lines[0])
        top -= height + GAP
    _draw_key(figure, exhibits, names)
    return figure


def _steepness(exhibit: Exhibit) -> float:
    height, width = exhibit.image.shape[:2]
    return float(height / width)


def _rows_of_axes(
    figure: Figure, top: float, panel: float, height: float, n_panels: int
) -> Iterator[list[Axes]]:
    """Yield the axes of one image after the other, from left to right; all in inches."""
    left = MARGIN
    while True:
        lefts = [left + (panel + GAP) * column for column in range(n_panels)]
        yield [axes_at(figure, x, top - height, panel, height) for x in lefts]
        left = lefts[-1] + panel + GAP + APART


def _draw_exhibit(
    row: Sequence[Axes], exhibit: Exhibit, names: Sequence[str], *, with_headings: bool
) -> None:
    panels = {"photograph": exhibit.image}
    if exhibit.cams:
        panels["CAM"] = heat_map(exhibit.image, exhibit.cams.scores)
    panels |= {name: overlay(exhibit.image, mask) for name, mask in exhibit.masks.items()}
    chips = {"photograph": exhibit.name}
    chips |= {name: f"mIoU {100 * miou:.0f}" for name, miou in exhibit.miou.items()}
    for axes, (name, panel) in zip(row, panels.items(), strict=True):
        axes.imshow(panel)
        axes.set_axis_off()
        axes.set_anchor("N")
        _write_chip(axes, chips.get(name, ""))
        if with_headings:
            axes.set_title(name, loc="center", pad=6)
        if name == "CAM" and exhibit.cams:
            _name_peaks(axes, exhibit.cams, names)


def _write_chip(axes: Axes, text: str) -> None:
    """Write into the lower left corner of a picture."""
    if text:
        axes.annotate(text, (0, 0), (5, 5), "axes fraction", "offset points", size=8, bbox=_chip(PAPER))


def _name_peaks(axes: Axes, cams: Cams, names: Sequence[str]) -> None:
    """Write each class's name where its CAM is strongest, a little inside of the border."""
    size = np.array(cams.scores.shape[1:])
    for scores, value in zip(cams.scores, cams.class_values, strict=True):
        peak = np.array(np.unravel_index(scores.argmax(), scores.shape))
        y, x = np.clip(peak, (0.1, 0.2) * size, (0.9, 0.8) * size)
        chip = _chip(COLOURS[value] / 255)
        axes.text(x, y, names[value], size=8, ha="center", va="center", bbox=chip)


def _chip(edge: object) -> dict[str, object]:
    return {
        "boxstyle": "round,pad=0.25",
        "facecolor": PAPER,
        "edgecolor": edge,
        "linewidth": 1.5,
        "alpha": 0.9,
    }


def _draw_key(figure: Figure, exhibits: Sequence[Exhibit], names: Sequence[str]) -> None:
    """Explain the colours of the classes that are to be seen."""
    seen = {value for exhibit in exhibits for mask in exhibit.masks.values() for value in np.unique(mask)}
    labels = dict(enumerate(names)) | {IGNORE: "unknown"}
    square = {
        "marker": "s",
        "markersize": 11,
        "linestyle": "",
        "markeredgecolor": MUTED,
        "markeredgewidth": 0.5,
    }
    handles = [
        Line2D([], [], color=COLOURS[value] / 255, label=labels[value], **square)
        for value in sorted(seen - {BACKGROUND})
    ]
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(MARGIN / WIDTH, 0), ncols=12, frameon=False,
        handletextpad=0.1, columnspacing=1.3, borderpad=0.4, borderaxespad=0,
    )  # fmt: skip


def overlay(image: Picture, mask: LabelMap) -> Picture:
    """Lay a label map (H, W) over its image (H, W, 3): classes in the VOC colours, background as it is.

    The image is grey and pale, so that colours mean classes; unknown pixels (255) are striped.
    """
    grey = image.mean(2, keepdims=True)
    colours = COLOURS[mask].astype(np.float64)
    colours[mask == BACKGROUND] = 255
    share = np.full(mask.shape, CLASS)
    share[mask == BACKGROUND] = AROUND
    share[mask == IGNORE] = np.where(stripes(mask.shape), *STRIPES)[mask == IGNORE]
    return _mixed(grey, colours, share)


def stripes(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Diagonals in an array (H, W), some 30 from side to side."""
    height, width = shape
    along = np.add.outer(np.arange(height), np.arange(width))
    return np.asarray(along * 60 // max(shape) % 2 == 0)


def heat_map(image: Picture, scores: NDArray[np.float16]) -> Picture:
    """Lay the strongest of the CAMs (K, H, W) in [0, 1] over the image (H, W, 3), thinner where cold."""
    grey = image.mean(2, keepdims=True)
    strongest = scores.max(0, initial=0).astype(np.float64)
    return _mixed(grey, 255 * HEAT(strongest)[..., :3], COLDEST + (HOTTEST - COLDEST) * strongest)


def _mixed(below: NDArray[np.float64], above: NDArray[np.float64], share: NDArray[np.float64]) -> Picture:
    """Mix pictures (H, W, 1 or 3), of which the one above has a share (H, W)."""
    share = share[..., None]
    return np.asarray(share * above + (1 - share) * below).round().astype(np.uint8)
