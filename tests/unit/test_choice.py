"""The choice of the values that say `auto`: among which points, how far beyond the grid, and its use."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsss.results import AffinityGrid, ArtifactError
from wsss.stages.sweep.choice import candidates, widened
from wsss.stages.sweep.chosen import chosen_text, chosen_walk
from wsss.stages.sweep.points import Grid, Point, best_first
from wsss.stages.sweep.usual import near_usual, usual_steps
from wsss.study.config import RandomWalk, Study, load_study, read_study

ROOT = Path(__file__).resolve().parents[2]
AUTO = {"background": {"alpha": "auto"}, "beta": "auto", "t": "auto", "normalize": "class"}
GRID = Grid((1.0, 2.0, 4.0), (0.2, 0.3), 8.0, (8, 16, 32), 1e-4, ("none", "class"))


def walk(**changes: Any) -> RandomWalk:
    return load_study({"random_walk": {**AUTO, **changes}}).random_walk


def points(grid: Grid, score: Callable[[Point], float]) -> list[dict[str, Any]]:
    """The points of a grid with a metric."""
    return [point.columns | {"miou": score(point)} for _, point in grid.points()]


def swept(score: Callable[[Point], float]) -> list[dict[str, Any]]:
    grids = (GRID._replace(beta=beta) for beta in (4.0, 8.0, 16.0))
    return [point for grid in grids for point in points(grid, score)]


def nearness(**best: float) -> Callable[[Point], float]:
    """A metric that falls with the distance from one point, in octaves."""
    return lambda point: (
        -sum(abs(math.log2((point.columns[key] or 1000) / value)) for key, value in best.items())
    )


def test_candidates_have_what_the_walk_writes() -> None:
    found = candidates(swept(nearness(t=8)), walk(beta=8))
    assert {point["beta"] for point in found} == {8.0}
    assert {(point["background"], point["normalize"]) for point in found} == {("power", "class")}
    assert len(found) == 9
    constant = candidates(swept(nearness(t=8)), walk(background={"kind": "constant", "score": "auto"}, t=16))
    assert {(point["constant"], point["t"]) for point in constant} == {(0.2, 16), (0.3, 16)}


def test_without_a_candidate_the_written_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"no point has the written values.*'beta': 5"):
        candidates(swept(nearness(t=8)), walk(beta=5))


def test_points_without_a_metric_come_last() -> None:
    rows = [{"miou": None}, {"miou": 0.1}, {"miou": math.nan}, {"miou": 0.7}]
    assert best_first(rows, "miou")[:2] == [{"miou": 0.7}, {"miou": 0.1}]


def choose(
    metric: Callable[[Point], float], section: RandomWalk
) -> tuple[dict[str, Any], dict[str, Any], int]:
    """The best point after widening, the values that were added, and the number of grids that were swept."""
    grids = []

    def sweep(grid: Grid) -> list[dict[str, Any]]:
        grids.append(grid)
        return points(grid, metric)

    found, added = widened(candidates(swept(metric), section), section, "miou", sweep)
    assert found == best_first(found, "miou")
    return found[0], added, len(grids)


def test_a_best_point_inside_the_grid_widens_nothing() -> None:
    best, added, grids = choose(nearness(alpha=2, beta=8, t=16), walk())
    assert (best["alpha"], best["beta"], best["t"]) == (2.0, 8.0, 16)
    assert (added, grids) == ({}, 0)


def test_a_best_point_at_an_edge_widens_the_grid_there_until_it_is_inside() -> None:
    best, added, grids = choose(nearness(alpha=2, beta=8, t=64), walk())
    assert added == {"t": [64, 128]}
    assert best["t"] == 64
    assert grids == 2 * 3  # a grid for beta and each of its neighbours


def test_a_grid_widens_at_several_edges_and_both_ways() -> None:
    best, added, _ = choose(nearness(alpha=0.5, beta=32, t=4), walk())
    assert (best["alpha"], best["beta"], best["t"]) == (0.5, 32.0, 4)
    assert added == {"alpha": [0.5, 0.25], "beta": [32.0, 64.0], "t": [4, 2]}


def test_a_grid_widens_three_times_at_most_and_not_beyond_what_makes_sense() -> None:
    best, added, _ = choose(nearness(t=10**6), walk())
    assert added["t"] == [64, 128, 256]
    assert best["t"] == 256
    lowest, added, _ = choose(lambda point: -point.t, walk())
    assert (lowest["t"], added["t"]) == (1, [4, 2, 1])
    _, added, _ = choose(
        lambda point: -(point.columns["constant"] or 1),
        walk(background={"kind": "constant", "score": "auto"}),
    )
    assert added["score"] == [0.1]


def test_only_what_says_auto_is_widened() -> None:
    best, added, grids = choose(nearness(alpha=64, beta=1, t=1000), walk(beta=16, t=8))
    assert (best["beta"], best["t"], set(added)) == (16.0, 8, {"alpha"})
    assert grids == 3


# Without masks


KEYS = ("alpha", "beta", "t")


def test_without_masks_points_near_the_usual_values_are_trusted() -> None:
    found = near_usual(candidates(swept(nearness(t=8)), walk()), KEYS, steps=14)
    assert {point["alpha"] for point in found} == {1.0, 2.0, 4.0}  # 2, and a step of the grid to each side
    assert {point["beta"] for point in found} == {4.0, 8.0, 16.0}
    assert {point["t"] for point in found} == {8, 16, 32}
    assert {point["t"] for point in near_usual(found, KEYS, steps=1e6)} == {16, 32}
    constant = walk(background={"kind": "constant", "score": "auto"}, t=16)
    found = near_usual(candidates(swept(nearness(t=8)), constant), constant.chosen_keys, steps=1e6)
    assert {point["constant"] for point in found} == {0.2, 0.3}
    assert {point["t"] for point in found} == {16}  # written, so not a matter of what is usual


def test_usual_steps_spread_over_the_same_share_of_an_image() -> None:
    small, large = [(100, 128), (128, 90)], [(512, 300)]
    assert usual_steps(large, AffinityGrid(5, 1.0, "full")) == 128
    assert usual_steps(small, AffinityGrid(5, 4.0, "full")) == 128
    assert usual_steps(small, AffinityGrid(5, 2.0, "full")) == 32  # half the cells: a quarter of the steps
    assert usual_steps(large, AffinityGrid(10, 1.0, "full")) == 32


# What becomes of it


def test_the_chosen_values_replace_auto_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "chosen.yaml"
    file.write_text(chosen_text({"background": {"kind": "power", "alpha": 1.5}, "beta": 8.0, "t": 64}))
    section = walk(tolerance=0.01)
    settled = chosen_walk(section, file)
    assert (settled.background.model_dump(), settled.beta, settled.t) == (
        {"kind": "power", "alpha": 1.5},
        8.0,
        64,
    )
    assert (settled.tolerance, settled.normalize, settled.refine) == (0.01, "class", "dense_crf")
    assert read_study(ROOT / "config.yaml", file).random_walk.beta == 8.0  # an overlay, too


def test_a_walk_without_auto_reads_no_file() -> None:
    section = Study().random_walk
    assert chosen_walk(section, None) is section
    assert chosen_walk(section, "none.yaml") is section


@pytest.mark.parametrize("text", ["", "random_walk: 3", "random_walk: {beta: x}", "other: {}", "a: ["])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "chosen.yaml").write_text(text)
    with pytest.raises(ArtifactError, match=r"chosen\.yaml: no values of random_walk"):
        chosen_walk(walk(), tmp_path / "chosen.yaml")


def test_values_that_are_left_open_are_named(tmp_path: Path) -> None:
    (tmp_path / "chosen.yaml").write_text(yaml.safe_dump({"random_walk": {"beta": 8}}))
    with pytest.raises(ArtifactError, match="leaves alpha, t of random_walk open"):
        chosen_walk(walk(), tmp_path / "chosen.yaml")
