"""A study over several seeds: which studies that makes, and the table of their scores."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from wsss.__main__ import app
from wsss.planning.seeds import Seed, gathered, headline, seed_studies, seeds_table, spreads, write_seeds
from wsss.results import write_json
from wsss.study.config import ConfigError, read_study

SETTINGS: dict[str, Any] = {"name": "mine", "seed": 1, "random_walk": {"t": 20}}


@pytest.fixture(autouse=True)
def overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("{}")
    Path("study.yaml").write_text(yaml.safe_dump(SETTINGS))
    return Path("study.yaml")


def described(*numbers: int, overlays: tuple[str, ...] = ("study.yaml",)) -> list[Seed]:
    files = [Path(file) for file in overlays]
    return seed_studies(Path("config.yaml"), files, numbers, Path("results/mine-seeds"))


def scores(folder: Path, *, masks: bool = True, train: bool = False, dense_crf: bool = True) -> Path:
    """A folder of results with made-up scores."""

    def metrics(miou: float, split: str = "train") -> dict[str, Any]:
        return {"miou": miou, "split": split, "scored_images": 4 if masks else 0}

    cams = metrics(0.4) | ({"dense_crf": metrics(0.45)} if dense_crf else {})
    predicted = metrics(0.6, "val") | ({"train": metrics(0.65)} if train else {})
    content = {
        "classifier": {"map": 0.9, "split": "val", "scored_images": 4},
        "cams": cams,
        "random_walk": metrics(0.5),
        "segmentation": predicted,
    }
    for artifact, found in content.items():
        write_json(folder / "scores" / f"{artifact}.json", found)
    return folder


# Studies


def test_the_study_itself_is_the_one_of_its_seed_and_comes_first(overlay: Path) -> None:
    own, zero, two = described(0, 1, 2)
    assert (own.number, own.results, own.overlays) == (1, Path("results/mine"), (overlay,))
    assert [(seed.number, seed.results) for seed in (zero, two)] == [
        (0, Path("results/mine-seed0")),
        (2, Path("results/mine-seed2")),
    ]
    assert gathered(own.study) == Path("results/mine-seeds")


def test_the_others_differ_in_name_and_seed_only() -> None:
    Path("over.yaml").write_text("random_walk: {beta: 6}")
    own, other = described(1, 7, overlays=("study.yaml", "over.yaml"))
    assert other.study == own.study.model_copy(update={"name": "mine-seed7", "seed": 7})
    assert (other.study.random_walk.t, other.study.random_walk.beta) == (20, 6)
    assert read_study("config.yaml", *other.overlays) == other.study, "the overlay is a whole study"


def test_a_seed_that_is_there_twice_counts_once() -> None:
    assert [seed.number for seed in described(3, 3, 2, 3)] == [3, 2]


def test_overlays_that_are_there_already_are_left_alone() -> None:
    (file,) = described(5)[0].overlays
    before = file.stat().st_mtime_ns
    described(5)
    assert file.stat().st_mtime_ns == before
    Path("study.yaml").write_text(yaml.safe_dump(SETTINGS | {"random_walk": {"t": 30}}))
    assert described(5)[0].study.random_walk.t == 30


def test_an_invalid_study_is_refused() -> None:
    Path("study.yaml").write_text("random_wlak: {t: 3}")
    with pytest.raises(ConfigError, match="random_wlak"):
        described(0)


# Scores


def test_headline_scores_in_the_order_of_the_road(tmp_path: Path) -> None:
    assert headline(scores(tmp_path, train=True)) == {
        "classifier, mAP on val": 0.9,
        "CAM, best constant on train": 0.4,
        "CAM + dCRF on train": 0.45,
        "pseudo masks on train": 0.5,
        "segmentation on val": 0.6,
        "segmentation on train": 0.65,
    }


def test_only_what_a_study_has_is_a_headline(tmp_path: Path) -> None:
    assert "CAM + dCRF on train" not in headline(scores(tmp_path, dense_crf=False))
    assert headline(tmp_path / "nothing") == {}


def test_without_masks_the_classifier_alone_has_a_score(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "classifier.json", {"map": 0.9, "split": "val", "scored_images": 2})
    for artifact in ("cams", "random_walk", "segmentation"):
        write_json(tmp_path / "scores" / f"{artifact}.json", {"miou": float("nan"), "scored_images": 0})
    assert headline(tmp_path) == {"classifier, mAP on val": 0.9}


def test_mean_and_spread() -> None:
    (found,) = spreads({0: {"masks": 0.5}, 4: {"masks": 0.6}, 2: {"masks": 0.64}})
    assert found.mean == pytest.approx(0.58)
    assert found.deviation == pytest.approx(stdev([0.5, 0.6, 0.64]))
    assert (found.lowest, found.highest) == (0.5, 0.64)
    assert found.seeds == {0: 0.5, 4: 0.6, 2: 0.64}


def test_a_score_that_a_seed_lacks_is_that_of_the_others() -> None:
    whole, part = spreads({0: {"a": 0.2, "b": 0.3}, 1: {"a": 0.4}})
    assert (whole.mean, part.mean) == (pytest.approx(0.3), 0.3)
    assert part.seeds == {0: 0.3}


def test_the_table_is_in_percent_and_a_single_seed_has_no_deviation() -> None:
    head, both, one = seeds_table(spreads({0: {"a": 0.2, "b": 0.3}, 1: {"a": 0.4}}), [0, 1]).splitlines()
    assert head.split() == ["in", "%", "mean", "sd", "min", "max", "seed", "0", "seed", "1"]
    assert both.split() == ["a", "30.0", "14.1", "20.0", "40.0", "20.0", "40.0"]
    assert one.split() == ["b", "30.0", "-", "30.0", "30.0", "30.0", "-"]
    assert len({len(line) for line in (head, both, one)}) == 1
    assert "No seed has scores" in seeds_table([], [0])


def test_the_scores_are_written_for_programs_too(tmp_path: Path) -> None:
    found = spreads({0: {"a": 0.25, "b": 0.3}, 1: {"a": 0.5}})
    table, content = write_seeds(tmp_path, found, {0: "mine", 1: "mine-seed1"})
    head, first, second = table.read_text().splitlines()
    assert head.split("\t") == ["score", "mean", "deviation", "min", "max", "seed 0", "seed 1"]
    assert first.split("\t")[0] == "a"
    assert [float(cell) for cell in first.split("\t")[1:]] == pytest.approx(
        [0.375, stdev([0.25, 0.5]), 0.25, 0.5, 0.25, 0.5]
    )
    assert second.split("\t") == ["b", "0.3", "", "0.3", "0.3", "0.3", ""]
    read = json.loads(content.read_text())
    assert read["studies"] == {"0": "mine", "1": "mine-seed1"}
    assert read["scores"][1]["deviation"] is None
    assert write_seeds(tmp_path / "empty", [], {0: "mine"}) == []


# The command


@pytest.mark.parametrize("words", [["--seeds", "0", "one"], ["--seeds", "-1"], ["--seeds", "0", "1.5"]])
def test_what_is_no_seed_is_refused(words: list[str]) -> None:
    done = CliRunner().invoke(app, ["seeds", "study.yaml", *words])
    assert done.exit_code == 2
    assert f"{words[-1]}: " in done.stderr
    assert not Path("results").exists()
