"""The method on one image, a picture for each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.affinity import half_plane_offsets
from wsss.method.cam import background_score, with_background
from wsss.method.confident import grid_labels
from wsss.method.grid import from_grid, to_grid
from wsss.method.labels import BACKGROUND, IGNORE, value_names
from wsss.method.random_walk import propagate
from wsss.report.figures.gallery import COLOURS, HEAT, Exhibit, overlay
from wsss.report.figures.style import INK, MUTED, axes_at, styled
from wsss.results import (
    AffinityGrid,
    image_miou,
    open_shards,
    read_affinities,
    read_cams,
    read_confusions,
    read_masks,
)
from wsss.stages.inference.refinement import pixel_refinement
from wsss.stages.random_walk import mask_of
from wsss.study.config import PowerBackground, PowerThresholds
from wsss.study.params import LabelConfident, WalkCams
from wsss.study.provenance import read_manifest

PANEL, GAP, TITLE, MARGIN = 2.6, 0.12, 0.42, 0.1
"""Inches: a panel, between panels, the title above one, around all."""

STEPS = (1, 4, 16, 64)
"""Lengths of the walk that are shown."""

SAME, OTHER = "#0b8f7f", "#d9480f"
"""Frames of neighbours of the same class, and of another."""

Picture = NDArray[np.uint8]
Draw = Callable[[Axes], object]


class Road(NamedTuple):
    """What a study made of one image.

    Attributes:
        exhibit: photograph, CAMs and masks, as galleries show them.
        names: of the mask values.
        stencil: affinities (34, h, w) before the power β.
        input_scale: factor on the image before AffinityNet.
        thresholds: of the confident regions.
        walk: of the random walk, with its dense CRF.
    """

    exhibit: Exhibit
    names: Sequence[str]
    stencil: torch.Tensor
    input_scale: float
    thresholds: PowerThresholds
    walk: WalkCams

    @property
    def cams(self) -> torch.Tensor:
        """CAMs (K, H, W) float32."""
        assert self.exhibit.cams is not None
        return torch.from_numpy(self.exhibit.cams.scores).float()

    @property
    def values(self) -> NDArray[np.int64]:
        """Mask values (K,) of the CAMs."""
        assert self.exhibit.cams is not None
        return self.exhibit.cams.class_values

    @property
    def background(self) -> PowerBackground:
        """The walk's background."""
        assert isinstance(self.walk.random_walk.background, PowerBackground)
        return self.walk.random_walk.background

    def walked(self, steps: Sequence[int]) -> torch.Tensor:
        """The scores after so many steps each: (T, 1 + K, h, w), background first."""
        scores = with_background(self.cams, background_score(self.cams, float(self.background.alpha)))
        cells = to_grid(scores, self.input_scale, self.walk.random_walk.padding)
        return propagate(self.stencil, cells, beta=float(self.walk.random_walk.beta), t=steps)


def median_image(results: Path, manifest: Manifest) -> ImageRow:
    """Choose the image of two classes whose pseudo mask is in the middle of all such images by mIoU."""
    n_values = len(value_names(manifest.class_names))
    miou = image_miou(read_confusions(results / "scores" / "random_walk.tsv", n_values), n_values)
    rows = {row.id: row for row in manifest.split("train") if len(row.labels) == 2 and row.id in miou}
    if not rows:
        raise ValueError(f"{results}: no scored image of train with two labels; expected the default study")
    ranked = sorted(rows, key=lambda name: (miou[name], name))
    return rows[ranked[len(ranked) // 2]]


def read_road(results: Path) -> Road:
    """Read what a finished study with masks made of its `median_image`.

    Args:
        results: `results/<study>`, whose backgrounds are powers of the CAMs.

    Raises:
        ValueError: the study has other backgrounds, no dense CRF, or no scored image of two classes.
    """
    manifest = Manifest.read(results / "dataset" / "manifest.tsv")
    row = median_image(results, manifest)
    names = value_names(manifest.class_names)

    def of(folder: str, suffix: str = "h5") -> list[Path]:
        return sorted((results / folder).glob(f"*.{suffix}"))

    with (
        open_shards(of("cams/train", "npz"), read_cams) as cams,
        open_shards(of("confident"), read_masks) as confident,
        open_shards(of("affinities/train"), read_affinities) as affinities,
        open_shards(of("random_walk/train"), read_masks) as pseudo,
        open_shards(of("segmentation/train"), read_masks) as predictions,
    ):
        assert row.mask is not None
        masks = {
            "confident": confident[row.id],
            "pseudo mask": pseudo[row.id],
            "prediction": predictions[row.id],
            "truth": read_mask(row.mask),
        }
        labels = LabelConfident.model_validate(_params(of("confident")[0]))
        walk = WalkCams.model_validate(_params(of("random_walk/train")[0]))
        thresholds = labels.confident.background
        if not (
            isinstance(thresholds, PowerThresholds)
            and isinstance(walk.random_walk.background, PowerBackground)
            and walk.dense_crf
        ):
            raise ValueError(
                f"{results}: expected backgrounds of `kind: power` and a walk with `refine: dense_crf`, "
                "as the default study has them"
            )
        return Road(
            Exhibit(row.id, row.photograph(), cams[row.id], masks, {}),
            names,
            torch.from_numpy(affinities[row.id]).float(),
            AffinityGrid.of(affinities).input_scale,
            thresholds,
            walk,
        )


def _params(artifact: Path) -> Mapping[str, object]:
    made = read_manifest(artifact.with_name(f"{artifact.name}.json"))
    if made is None:
        raise ValueError(f"{artifact}: has no manifest; expected a result of a finished study")
    return made.config


@styled
def panels(*drawn: tuple[str, Draw], steepness: float = 1) -> Figure:
    """Draw panels side by side, each with a title.

    Args:
        drawn: title and content of each.
        steepness: height of the panels as a multiple of their width.
    """
    height = PANEL * steepness
    width = 2 * MARGIN + len(drawn) * PANEL + (len(drawn) - 1) * GAP
    figure = Figure(figsize=(width, 2 * MARGIN + TITLE + height))
    for place, (title, draw) in enumerate(drawn):
        axes = axes_at(figure, MARGIN + place * (PANEL + GAP), MARGIN, PANEL, height)
        axes.set_axis_off()
        draw(axes)
        axes.set_title(title, loc="left", pad=6, size=11)
    return figure


def shown(picture: NDArray[np.generic]) -> Draw:
    """Show a picture (H, W, 3), or scores (H, W) in [0, 1] in colours of heat."""
    colours = picture if picture.ndim == 3 else HEAT(picture.astype(np.float64))[..., :3]
    return lambda axes: axes.imshow(colours, interpolation="nearest")


def step_figures(road: Road) -> dict[str, Figure]:
    """Draw each step of the method; by the name of its file."""
    height, width = road.exhibit.image.shape[:2]
    drawn = {
        "1_photograph": _photograph_panels(road),
        "2_cams": _cam_panels(road),
        "3_confident": _confident_panels(road),
        "4_pairs": [("one cell and its neighbours", _pairs(road)), ("labels of the cells", _cells(road))],
        "6_walk": _walk_panels(road),
        "7_background": _background_panels(road),
        "8_dense_crf": _dense_crf_panels(road),
        "9_prediction": [(name, _laid_over(road, name)) for name in ("pseudo mask", "prediction", "truth")],
    }
    figures = {name: panels(*row, steepness=height / width) for name, row in drawn.items()}
    return figures | {"5_affinity": panels(*_affinity_panels(road))}


def _laid_over(road: Road, name: str) -> Draw:
    return shown(overlay(road.exhibit.image, road.exhibit.masks[name]))


def _photograph_panels(road: Road) -> list[tuple[str, Draw]]:
    return [(" and ".join(road.names[value] for value in road.values), shown(road.exhibit.image))]


def _cam_panels(road: Road) -> list[tuple[str, Draw]]:
    cams = zip(road.values, road.cams.numpy(), strict=True)
    return [(f"CAM of {road.names[value]}", shown(_heated(road.exhibit.image, cam))) for value, cam in cams]


def _confident_panels(road: Road) -> list[tuple[str, Draw]]:
    low, high = road.thresholds.low_alpha, road.thresholds.high_alpha
    return [
        (f"strong background, α {low:g}", shown(_power(road, low))),
        (f"weak background, α {high:g}", shown(_power(road, high))),
        ("confident regions", _laid_over(road, "confident")),
    ]


def _heated(photograph: Picture, scores: NDArray[np.floating]) -> Picture:
    grey = photograph.mean(2, keepdims=True)
    warm = 255 * HEAT(scores.astype(np.float64))[..., :3]
    share = 0.4 + 0.3 * scores[..., None]
    return np.asarray(share * warm + (1 - share) * grey).round().astype(np.uint8)


def _power(road: Road, alpha: float) -> NDArray[np.float32]:
    return np.asarray(background_score(road.cams, alpha).numpy())


def _grid_labels(road: Road) -> NDArray[np.uint8]:
    """The label of each cell: the class that wins it, or unknown."""
    confident = road.exhibit.masks["confident"]
    side = round(8 / road.input_scale)
    labels = grid_labels(torch.from_numpy(confident.astype(np.int64)), side, ignore_votes=True)
    return np.asarray(labels.numpy()).astype(np.uint8)


def _border_cell(road: Road) -> tuple[int, int]:
    """The cell, away from the margin, whose neighbours have the most even mix of labels."""
    labels = _grid_labels(road)
    height, width = labels.shape
    best, place = -1.0, (height // 2, width // 2)
    for y in range(5, height - 5):
        for x in range(5, width - 5):
            if labels[y, x] in (BACKGROUND, IGNORE):
                continue
            around = labels[y - 4 : y + 5, x - 4 : x + 5]
            same, other = (around == labels[y, x]).mean(), (around == BACKGROUND).mean()
            if (mix := min(same, other)) > best:
                best, place = mix, (y, x)
    return place


def _cell_frame(road: Road, cell: tuple[int, int], colour: object, **more: object) -> Rectangle:
    side = 8 / road.input_scale
    corner = (cell[1] * side - 0.5, cell[0] * side - 0.5)
    return Rectangle(corner, side, side, edgecolor=colour, facecolor="none", **more)  # type: ignore[arg-type]


def _pairs(road: Road) -> Draw:
    """The photograph, a cell, and its neighbours: of the same class, of another, or unknown."""
    y, x = _border_cell(road)
    labels = _grid_labels(road)

    def draw(axes: Axes) -> None:
        axes.imshow(road.exhibit.image, alpha=0.55)
        for dy, dx in half_plane_offsets(5).tolist():
            for cell in ((y + dy, x + dx), (y - dy, x - dx)):
                label = labels[cell]
                same = label == labels[y, x]
                colour = MUTED if label == IGNORE else SAME if same else OTHER
                axes.add_patch(_cell_frame(road, cell, colour, linewidth=1.4))
        axes.add_patch(_cell_frame(road, (y, x), INK, linewidth=2.5))

    return draw


def _cells(road: Road) -> Draw:
    labels = _grid_labels(road)
    paint = COLOURS[labels].copy()
    paint[labels == BACKGROUND] = 255
    return shown(paint)


def _affinity_panels(road: Road) -> list[tuple[str, Draw]]:
    y, x = _border_cell(road)
    height, width = road.stencil.shape[1:]
    around = np.full((height, width), np.nan)
    around[y, x] = 1
    for found, (dy, dx) in zip(road.stencil.numpy(), half_plane_offsets(5).tolist(), strict=True):
        around[y + dy, x + dx] = found[y, x]
        around[y - dy, x - dx] = found[y - dy, x - dx]
    beta = float(road.walk.random_walk.beta)
    powers = around**beta
    strongest = np.nanmax(np.where(around < 1, powers, np.nan))
    window = (slice(y - 5, y + 6), slice(x - 5, x + 6))

    def heat(values: NDArray[np.float64]) -> Draw:
        colours = HEAT(np.nan_to_num(values))[..., :3]
        colours[np.isnan(values)] = 1
        return shown(colours[window])

    side = 8 / road.input_scale
    top, left, size = round((y - 5) * side), round((x - 5) * side), round(11 * side)
    return [
        ("the photograph there", shown(road.exhibit.image[top : top + size, left : left + size])),
        ("affinity W", heat(around)),
        (f"W to the power β = {beta:g}, scaled", heat(np.minimum(powers / strongest, 1))),
    ]


def _walk_panels(road: Road) -> list[tuple[str, Draw]]:
    first = road.walked([0, *STEPS])[:, 1].numpy()
    return [(f"t = {t}", shown(scores)) for t, scores in zip((0, *STEPS), first, strict=True)]


def _scores(road: Road) -> torch.Tensor:
    walked = road.walked([int(road.walk.random_walk.t)])[0]
    return from_grid(walked, road.exhibit.image.shape[:2], road.input_scale)


def _background_panels(road: Road) -> list[tuple[str, Draw]]:
    scores = _scores(road)
    names = ["background", *(road.names[value] for value in road.values)]
    maps = [(name, shown(score.numpy())) for name, score in zip(names, scores, strict=True)]
    return [*maps, ("the strongest wins", shown(overlay(road.exhibit.image, mask_of(scores, road.values))))]


def _dense_crf_panels(road: Road) -> list[tuple[str, Draw]]:
    photograph, scores, crf = road.exhibit.image, _scores(road), road.walk.dense_crf
    assert crf is not None
    panels = [("walk", mask_of(scores, road.values))]
    for iterations in (1, 3, crf.iterations):
        told = crf.model_copy(update={"iterations": iterations})
        refined = pixel_refinement(photograph, told)(scores)
        panels.append((f"{iterations} iteration{'s' * (iterations > 1)}", mask_of(refined, road.values)))
    return [(name, shown(overlay(photograph, mask))) for name, mask in panels]
