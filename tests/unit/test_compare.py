"""`wsss compare`: the scores, configurations and images of two studies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from wsss.__main__ import app
from wsss.planning.comparing import changed_shares, differing_keys, most_changed
from wsss.results import ImageConfusion, write_confusions, write_json, write_manifest, write_masks
from wsss.study.provenance import ArtifactManifest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wsss(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments])


def study(
    name: str,
    pixels: dict[str, int],
    *,
    config: dict[str, object],
    rule: str = "random_walk",
    iou: float = 0.5,
    settled: dict[str, object] | None = None,
) -> Path:
    """A study whose pseudo masks have some of 100 pixels of a cat right, by image, and all of the rest."""
    results = Path("results", name)
    (results / "dataset").mkdir(parents=True)
    images = [
        ImageConfusion(image, "train", np.array([[0, 0, 100], [1, 0, 100 - right], [1, 1, right]]))
        for image, right in pixels.items()
    ]
    write_confusions(results / "scores" / "random_walk.tsv", images)
    scores = {
        "value_names": ["background", "cat"],
        "iou": {"background": 0.9, "cat": iou},
        "miou": (0.9 + iou) / 2,
    }
    write_json(results / "scores" / "random_walk.json", {**scores, "scored_images": 3, "split": "train"})
    artifact = results / "random_walk" / "train" / "00.h5"
    facts = {"code": {}, "inputs": {}, "seed": None, "versions": {}, "device": "cpu", "seconds": 1.0}
    made = {"artifact": str(artifact), "rule": rule, "config": config, "peak_memory_mb": 1.0, "created": ""}
    write_manifest(artifact, ArtifactManifest(**facts, **made, settled=settled or {}))
    return results


def walk(**keys: object) -> dict[str, object]:
    return {"random_walk": {"beta": 8.0, **keys}, "dense_crf": None}


@pytest.fixture
def both() -> tuple[Path, Path]:
    power, constant = {"kind": "power", "alpha": 3.0}, {"kind": "constant", "score": 0.3}
    return (
        study("a", {"x": 50, "y": 90, "z": 10}, config=walk(t=16, background=power)),
        study("b", {"x": 55, "y": 30, "z": 10, "w": 1}, config=walk(t=32, background=constant), iou=0.75),
    )


def test_scores_stand_side_by_side(both) -> None:
    lines = [line.split() for line in wsss("results/a", "results/b").stdout.splitlines()]
    assert ["a", "b", "change"] in lines
    assert ["pseudo", "mask,", "IoU", "in", "%,", "on", "3", "train"] in lines
    assert ["background", "90.0", "90.0", "+0.0"] in lines
    assert ["cat", "50.0", "75.0", "+25.0"] in lines
    assert ["mean", "70.0", "82.5", "+12.5"] in lines


def test_without_true_masks_the_pixels_that_changed_are_counted(both) -> None:
    for results in both:
        (results / "scores" / "random_walk.json").unlink()
        masks = {image: np.zeros((10, 10), np.uint8) for image in ("x", "y", "z")}
        if results.name == "b":
            masks["x"][:2] = 1
            masks["y"][5:] = 2
        write_masks(results / "random_walk" / "train" / "00.h5", masks.items())
    assert changed_shares(*both, "random_walk") == {"x": 0.2, "y": 0.5, "z": 0.0}
    said = wsss("results/a", "results/b").stdout
    assert said.startswith("No stage has scores in both")
    assert "pseudo mask: 23.3 % of the pixels have another class; of 3 images these changed most" in said
    assert [line.split() for line in said.splitlines()[-2:]] == [["50.0", "y"], ["20.0", "x"]]


def test_the_configuration_that_differs(both) -> None:
    assert differing_keys(*both) == {
        "random_walk.t": (16, 32),
        "random_walk.background.kind": ("power", "constant"),
        "random_walk.background.alpha": (3.0, "-"),
        "random_walk.background.score": ("-", 0.3),
    }
    assert "  random_walk.t: 16 → 32" in wsss("results/a", "results/b").stdout.splitlines()


def test_what_only_one_has_made_is_no_difference() -> None:
    a = study("a", {}, config=walk(t=16))
    b = study("b", {}, config={"precision": "auto"}, rule="compute_cams")
    assert differing_keys(a, b) == {}
    assert "configuration: the same in all that both have made" in wsss(str(a), str(b)).stdout


def test_what_was_chosen_counts_in_place_of_auto() -> None:
    a = study("a", {}, config=walk(t="auto"), settled={"random_walk.t": 32})
    b = study("b", {}, config=walk(t="auto"), settled={"random_walk.t": 64})
    assert differing_keys(a, b) == {"random_walk.t": (32, 64)}


@pytest.mark.parametrize("other", ["choose_random_walk", "write_tables"], ids=["before", "after"])
def test_a_rule_that_does_not_know_the_number_says_nothing(other: str) -> None:
    """Rules are read in the order of their files: one before and one behind that of the walk."""
    a = study("a", {}, config=walk(beta="auto"), settled={"random_walk.beta": 6.0})
    b = study("b", {}, config=walk(beta=8.0))
    place = "cams" if other == "choose_random_walk" else "tables"
    for results, beta in ((a, "auto"), (b, 8.0)):
        manifest = json.loads((results / "random_walk" / "train" / "00.h5.json").read_text())
        manifest |= {"rule": other, "config": walk(beta=beta), "settled": {}}
        write_json(results / place / "file.json", manifest)
    assert differing_keys(a, b) == {"random_walk.beta": (6.0, 8.0)}


def test_images_that_changed_most_come_first(both) -> None:
    changes = most_changed(*both, "random_walk")
    assert [change.image for change in changes] == ["y", "x", "z"], "w is in one of them only"
    assert changes[0].before > changes[0].after
    lines = wsss("results/a", "results/b").stdout.splitlines()
    start = lines.index("pseudo mask, images that changed most, of 3 (mIoU in %):")
    assert [line.split()[-1] for line in lines[start + 1 :]] == ["y", "x"], "z has not changed"


def test_a_study_by_its_file() -> None:
    study("a", {"x": 1}, config=walk())
    Path("config.yaml").write_text("{}")
    Path("mine.yaml").write_text("name: a")
    assert "pseudo mask" in wsss("mine.yaml", "results/a").stdout


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("photos", "photos: no results of a study, expected results/<study> or its YAML file"),
        ("new.yaml", "results/new: no results yet; what makes them:\n"),
        ("gone.yaml", "gone.yaml: no such file"),
    ],
)
def test_what_cannot_be_compared(second: str, said: str) -> None:
    study("a", {"x": 1}, config=walk())
    Path("photos").mkdir()
    Path("new.yaml").write_text("name: new")
    result = wsss("results/a", second)
    assert result.exit_code == 2
    assert said in result.stderr


def test_studies_without_masks() -> None:
    for name in ("a", "b"):
        results = study(name, {}, config=walk())
        write_json(results / "scores" / "random_walk.json", {"scored_images": 0, "split": "train", "iou": {}})
    assert wsss("results/a", "results/b").stdout.startswith("No stage has scores in both")
