"""The sweep against the masks that the study itself would make, its ranking and its figure."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from PIL import Image
from torch.nn.functional import interpolate

from wsss.data import ImageRow, Manifest
from wsss.method.cam import with_background
from wsss.method.labels import class_values
from wsss.method.metrics import confusion_matrix, mean_iou
from wsss.report.figures import plot_sweep, sweep_table
from wsss.results import write_json, write_table
from wsss.stages.random_walk import background_of, propagate_image
from wsss.stages.sweep.counting import count_winners, winning_slots
from wsss.stages.sweep.images import sweep_image
from wsss.stages.sweep.pixels import Pixels, describe_pixels, read_pixels, swept_rows
from wsss.stages.sweep.points import KEYS, Grid, Point
from wsss.stages.sweep.ranking import gather, rank, table
from wsss.stages.sweep.tally import Tally, tally_image, total
from wsss.study.config import RandomWalk, Study, load_study
from wsss.study.params import SweepRandomWalk

ROOT = Path(__file__).resolve().parents[2]
N_VALUES = 5
NAMES = ["background", "ant", "bee", "cat", "$dog_{<b>$"]
GRID = Grid((0.7, 2.0, 16.0), (0.0, 0.3, 0.42, 1.0), 3.0, (1, 7, 40), 1e-4)


def scene(
    size: tuple[int, int], labels: tuple[int, ...], input_scale: float, seed: int = 0
) -> dict[str, Any]:
    """Smooth CAMs, affinities of all sizes, and true and confident labels with unknown pixels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, max(1, len(labels)), 5, 6, generator=generator)
    cams = interpolate(coarse, size, mode="bicubic").clamp(0, 1)[0, : len(labels)].half()
    cells = [-(-round(side * input_scale) // 8) for side in size]
    values = torch.tensor([0, *class_values(labels), 4, 255], dtype=torch.uint8)
    truth, confident = (values[torch.randint(len(values), size, generator=generator)] for _ in range(2))
    return {
        "stencil": torch.rand(34, *cells, generator=generator).half(),
        "cams": cams,
        "image": torch.randint(256, (*size, 3), generator=generator, dtype=torch.uint8).numpy(),
        "truth": truth.numpy(),
        "confident": confident.numpy(),
    }


def tally_scene(image: dict[str, Any], labels: tuple[int, ...], input_scale: float, grid: Grid) -> Tally:
    known = describe_pixels(image["image"], image["truth"], image["confident"])
    counts = sweep_image(image["stencil"], image["cams"], known, input_scale=input_scale, grid=grid)
    return tally_image(counts, known, class_values(labels), N_VALUES)


@pytest.mark.parametrize(
    ("size", "labels", "input_scale"),
    [
        ((37, 53), (0, 2), 2.0),
        ((40, 48), (1,), 1.0),
        ((33, 20), (0, 1, 3), 0.7),
        ((24, 31), (), 2.0),
        ((8, 9), (2, 3), 1.0),
    ],
)
def test_every_point_has_the_masks_of_the_study_itself(
    size: tuple[int, int], labels: tuple[int, ...], input_scale: float
) -> None:
    image = scene(size, labels, input_scale)
    found = tally_scene(image, labels, input_scale, GRID)
    references = {"truth": found.truth, "confident": found.confident}
    pairs, colours = distant(image["image"])
    assert found.pairs == pytest.approx([len(pairs), colours.sum(), (colours**2).sum()], rel=1e-5)
    for place, point in GRID.points():
        walk = point.walk(RandomWalk(tolerance=GRID.tolerance))
        mask = propagate_image(
            image["stencil"], image["cams"], class_values(labels), input_scale=input_scale, walk=walk
        )
        for name, overlap in references.items():
            confusion = confusion_matrix(torch.from_numpy(mask), torch.from_numpy(image[name]), N_VALUES)
            assert overlap.hits[place].tolist() == confusion.diagonal().tolist(), point
            assert overlap.predicted[place].tolist() == confusion.sum(0).tolist()
            assert overlap.expected.tolist() == confusion.sum(1).tolist()
        won = np.bincount(mask.ravel(), minlength=N_VALUES)
        assert found.predicted[place].tolist() == won.tolist()
        given_values = [0, *class_values(labels)]
        gone = [v for v in given_values if won[v] < mask.size / 1000]
        assert found.vanished[place].nonzero()[0].tolist() == gone
        assert found.changed[place] == (mask != mask_of_cams(image["cams"], labels, walk)).sum()
        parted = np.array([mask[first] != mask[second] for first, second in pairs], bool)
        assert found.parted[place] == parted.sum()
        assert found.parting[place] == pytest.approx(colours[parted].sum(), rel=1e-4, abs=1e-6)


def test_boundaries_and_the_images_peak_count_as_in_the_study() -> None:
    labels, grid = (0, 2), GRID._replace(normalize=("none", "image"))
    image = scene((37, 53), labels, 2.0)
    boundary = torch.rand(image["stencil"].shape[1:], generator=torch.Generator().manual_seed(5)).half()
    known = describe_pixels(image["image"], image["truth"], image["confident"])
    walked = image["stencil"], image["cams"]
    counts = sweep_image(*walked, known, boundary.numpy(), input_scale=2.0, grid=grid)
    found = tally_image(counts, known, class_values(labels), N_VALUES)
    for place, point in grid.points():
        walk, values = point.walk(RandomWalk(tolerance=grid.tolerance)), class_values(labels)
        mask = propagate_image(*walked, values, input_scale=2.0, walk=walk, boundary=boundary)
        won = np.bincount(mask.ravel(), minlength=N_VALUES)
        assert found.predicted[place].tolist() == won.tolist(), point


@pytest.mark.parametrize(("size", "input_scale"), [((37, 53), 1.0), ((33, 20), 2.0)])
@pytest.mark.parametrize("normalized", ["class", "image"])
@pytest.mark.parametrize(
    ("padding", "normalize_on"), [("zeros", "cells"), ("none", "pixels"), ("zeros", "pixels")]
)
def test_padding_and_the_place_of_the_peak_count_as_in_the_study(
    size: tuple[int, int], input_scale: float, normalized: Any, padding: Any, normalize_on: Any
) -> None:
    labels, image = (0, 2), scene(size, (0, 2), input_scale, seed=4)  # whose peaks are no corners
    grid = Grid((2.0,), (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95), 3.0, (1, 7), 1e-4, ("none", normalized))
    grid = grid._replace(padding=padding, normalize_on=normalize_on)
    found = tally_scene(image, labels, input_scale, grid)
    like = RandomWalk(tolerance=grid.tolerance, padding=padding, normalize_on=normalize_on)
    walked = image["stencil"], image["cams"], class_values(labels)
    differs = False
    for place, point in grid.points():
        masks = [
            propagate_image(*walked, input_scale=input_scale, walk=point.walk(walk))
            for walk in (like, RandomWalk(tolerance=grid.tolerance))
        ]
        won = np.bincount(masks[0].ravel(), minlength=N_VALUES)
        assert found.predicted[place].tolist() == won.tolist(), point
        differs |= not np.array_equal(*masks)
    assert differs


def distant(image: np.ndarray) -> tuple[list[tuple[tuple[int, int], tuple[int, int]]], np.ndarray]:
    """Pairs of places (y, x) 12 % of the longest side apart, in each direction; and their colours."""
    height, width, _ = image.shape
    reach = max(1, round(0.12 * max(height, width)))
    pairs = [
        ((y, x), (y + dy * reach, x + dx * reach))
        for y, x in np.ndindex(height, width)
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1))
        if y + dy * reach < height and 0 <= x + dx * reach < width
    ]
    distances = [np.linalg.norm(image[a].astype(float) - image[b]) for a, b in pairs]
    return pairs, 1 - np.exp(-np.array(distances) / 60)


def mask_of_cams(cams: torch.Tensor, labels: tuple[int, ...], walk: RandomWalk) -> np.ndarray:
    """Take the strongest of background and CAMs, without any walk."""
    values = np.array([0, *class_values(labels)])
    return values[with_background(cams, background_of(cams, walk.background)).argmax(0).numpy()]


def test_the_points_cover_both_rules_and_both_normalisations() -> None:
    points = [point for _, point in GRID.points()]
    assert len(set(points)) == len(points) == np.prod(GRID.shape)
    assert {(point.background.kind, point.normalize) for point in points} == {
        (kind, normalize) for kind in ("power", "constant") for normalize in ("none", "class")
    }
    assert all(point.beta == 3.0 for point in points)


def test_a_point_is_a_random_walk_as_a_row_and_as_a_section() -> None:
    for _, point in GRID.points():
        assert tuple(point.columns) == KEYS
        assert Point.of(point.columns) == point
        walk = load_study({"random_walk": point.section}).random_walk
        like = RandomWalk(tolerance=0.01, padding="zeros", normalize_on="pixels")
        own = {"refine": "none", "tolerance": 0.01, "padding": "zeros", "normalize_on": "pixels"}
        assert walk.model_copy(update=own) == point.walk(like)


@pytest.mark.parametrize(("normalize", "tried"), [("none", "class"), ("class", "class"), ("image", "image")])
def test_the_grid_is_that_of_the_study(normalize: str, tried: str) -> None:
    walk = {"normalize": normalize, "tolerance": 0.01, "padding": "zeros", "normalize_on": "pixels"}
    study = load_study({"random_walk": walk, "sweep": {"ts": [3, 9]}})
    grid = Grid.of(SweepRandomWalk.of(study), 2.5)
    assert (grid.alphas, grid.constants) == (Study().sweep.alphas, Study().sweep.constants)
    assert (grid.beta, grid.ts, grid.tolerance, grid.normalize) == (2.5, (3, 9), 0.01, ("none", tried))
    assert (grid.padding, grid.normalize_on) == ("zeros", "pixels")
    assert Grid.from_json(json.loads(json.dumps(grid._asdict()))) == grid


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(1, 4), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_first_of_the_strongest_wins(maps: int, backgrounds: int, pixels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 4, (maps, pixels)).astype(np.float32)  # many are equal
    over = generator.integers(0, 4, (backgrounds, pixels)).astype(np.float32)
    expected = np.stack([np.concatenate([row[None], scores]).argmax(0) for row in over])
    assert (winning_slots(scores, over) == expected).all()
    kinds = generator.integers(0, 3, pixels).astype(np.uint16)
    neighbours = np.stack([np.arange(pixels - 1), np.arange(1, pixels)], 1)
    known = Pixels(kinds, np.zeros((3, 2), np.int64), neighbours, np.full(pixels - 1, 0.5, np.float32))
    counts = count_winners(scores, over, np.zeros((backgrounds, pixels), np.uint8), known)
    assert counts.changed.tolist() == (expected != 0).sum(1).tolist()
    assert counts.parted.tolist() == (np.diff(expected) != 0).sum(1).tolist()
    assert (counts.parting == counts.parted / 2).all()
    for b, k, kind in np.ndindex(counts.pixels.shape):
        assert counts.pixels[b, k, kind] == ((expected[b] == k) & (kinds == kind)).sum()


def test_tallies_add_up_and_survive_json() -> None:
    first = tally_scene(scene((24, 32), (0, 2), 1.0), (0, 2), 1.0, GRID)
    second = tally_scene(scene((17, 40), (2,), 1.0, 1), (2,), 1.0, GRID)
    both = total([first, second], GRID, N_VALUES)
    assert both.given_images.tolist() == [2, 1, 0, 2, 0]
    assert both.given_pixels.tolist() == [1448, 768, 0, 1448, 0]
    assert (both.predicted == first.predicted + second.predicted).all()
    assert (both.truth.hits == first.truth.hits + second.truth.hits).all()
    assert total([], GRID, N_VALUES).given_pixels.sum() == 0


def files(tmp_path: Path, truth: bool = True) -> list[dict[str, Any]]:
    """The content of two shards for each of two betas, after a way through files."""
    contents = []
    for beta in (3.0, 8.0):
        grid = GRID._replace(beta=beta)
        for seed, (size, labels) in enumerate([((24, 32), (0, 2)), ((17, 40), (1, 2))]):
            image = scene(size, labels, 1.0, seed)
            image["truth"] = image["truth"] if truth else np.full(size, 255, np.uint8)
            counts = tally_scene(image, labels, 1.0, grid)
            path = tmp_path / "counts.json"
            write_json(path, {"value_names": NAMES, "grid": grid._asdict(), "counts": counts.as_json()})
            contents.append(json.loads(path.read_text()))
    return contents


@pytest.mark.parametrize("truth", [True, False])
def test_points_are_ranked_by_miou_or_else_without_masks(tmp_path: Path, truth: bool) -> None:
    ranking = rank(*gather(files(tmp_path, truth)))
    assert ranking["images"] == 2
    values = [point[ranking["criterion"]] for point in ranking["points"]]
    assert values == sorted(values, reverse=True)
    assert [point["rank"] for point in ranking["points"]] == list(range(1, 85))
    assert all(np.isnan(point["miou"]) != truth for point in ranking["points"])
    assert (ranking["criterion"] == "miou") == truth
    assert all(0 <= point[name] <= 1 for point in ranking["points"] for name in ("agreement", "changed"))
    assert all(
        point["label_free"] == pytest.approx(max(0, point["alignment"]) * (1 - point["vanished"]))
        for point in ranking["points"]
    )


def ranks(values: list[float]) -> list[float]:
    return [sum(w < v for w in values) + sum(w == v for w in values) / 2 for v in values]


def test_correlations_are_those_of_the_ranks(tmp_path: Path) -> None:
    ranking = rank(*gather(files(tmp_path)))
    miou = ranks([point["miou"] for point in ranking["points"]])
    for name, found in ranking["correlation"].items():
        signal = ranks([point[name] for point in ranking["points"]])
        assert found == pytest.approx(np.corrcoef(miou, signal)[0, 1], nan_ok=True)
    assert rank(*gather(files(tmp_path, truth=False)))["correlation"] is None


def test_a_signal_that_never_differs_correlates_with_nothing(tmp_path: Path) -> None:
    (names, tallies) = gather(files(tmp_path))
    still = [(grid, tally._replace(changed=0 * tally.changed)) for grid, tally in tallies]
    found = rank(names, still)["correlation"]
    assert np.isnan(found["changed"])
    assert not np.isnan(found["agreement"])
    unknown = tallies[0][1].confident._replace(expected=0 * tallies[0][1].confident.expected)
    nothing = unknown._replace(predicted=0 * unknown.predicted, hits=0 * unknown.hits)
    blind = rank(names, [(grid, tally._replace(confident=nothing)) for grid, tally in tallies])
    assert np.isnan(blind["correlation"]["agreement"])


def test_miou_is_that_of_the_summed_confusion_matrices(tmp_path: Path) -> None:
    ranking = rank(*gather(files(tmp_path)))
    point = ranking["points"][5]
    walk = Point.of(point).walk(RandomWalk(tolerance=GRID.tolerance))
    confusion = torch.zeros(N_VALUES, N_VALUES, dtype=torch.int64)
    for seed, (size, labels) in enumerate([((24, 32), (0, 2)), ((17, 40), (1, 2))]):
        image = scene(size, labels, 1.0, seed)
        values = class_values(labels)
        mask = propagate_image(image["stencil"], image["cams"], values, input_scale=1.0, walk=walk)
        confusion += confusion_matrix(torch.from_numpy(mask), torch.from_numpy(image["truth"]), N_VALUES)
    assert point["miou"] == pytest.approx(mean_iou(confusion).item(), abs=1e-12)


def test_the_table_has_a_row_per_point_and_a_column_per_class(tmp_path: Path) -> None:
    write_table(tmp_path / "points.tsv", table(rank(*gather(files(tmp_path)))))
    head, *rows = [line.split("\t") for line in (tmp_path / "points.tsv").read_text().splitlines()]
    assert head[: 1 + len(KEYS)] == ["rank", *KEYS]
    assert {"miou", "agreement", "changed", "vanished", "iou_bee", "coverage_background"} <= set(head)
    assert len(rows) == 84
    assert {len(row) for row in rows} == {len(head)}
    assert all(bool(row[head.index("alpha")]) != bool(row[head.index("constant")]) for row in rows)


def test_scored_images_are_swept_and_without_masks_all() -> None:
    def row(name: str, mask: bool, scored: bool, split: str = "train") -> ImageRow:
        path = Path(f"{name}.png") if mask else None
        return ImageRow(name, Path(name), path, split, scored, (), 8, 9, "")

    rows = (row("a", True, True), row("b", True, False), row("c", False, False), row("d", True, True))
    shard = Manifest(("ant",), rows[:3]).without_masks()
    assert swept_rows(Manifest(("ant",), rows), shard) == [rows[0]]
    assert swept_rows(Manifest(("ant",), rows), Manifest(("ant",), rows[2:3])) == []
    assert swept_rows(Manifest(("ant",), rows[1:3]), shard) == list(shard)


def test_without_a_mask_all_is_unknown(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    image, mask = (generator.integers(0, 3, shape, dtype=np.uint8) for shape in ((9, 11, 3), (9, 11)))
    for name, array in (("image", image), ("mask", mask)):
        Image.fromarray(array).save(tmp_path / f"{name}.png")
    row = ImageRow("a", tmp_path / "image.png", tmp_path / "mask.png", "train", True, (), 9, 11, "")
    known = read_pixels(row, mask)
    assert (known.contexts[known.kinds, 0] == mask.ravel()).all()
    assert (known.contexts[known.kinds, 1] == mask.ravel()).all()
    unknown = read_pixels(replace(row, mask=None), mask)
    assert (unknown.contexts[:, 0] == 255).all()


@pytest.mark.parametrize("truth", [True, False])
def test_the_figure_writes_each_cell_and_marks_the_best(tmp_path: Path, truth: bool) -> None:
    ranking = rank(*gather(files(tmp_path, truth)))
    figure = plot_sweep(ranking)
    figure.savefig(io.BytesIO(), format="png", dpi=20)
    texts = [text.get_text() for text in figure.findobj(Text)]
    best = ranking["points"][0]
    assert f"{100 * best[ranking['criterion']]:.1f}" in texts
    frames = [patch for axes in figure.axes for patch in axes.patches if patch.get_linewidth() == 3]
    assert len(frames) == 1
    cells = [patch for axes in figure.axes for patch in axes.patches if patch not in frames]
    assert len(cells) == 4 * 2 * 3
    assert "&lt;b&gt;" not in sweep_table(ranking)  # names of classes are no columns there
