"""Recipes: valid, found by name, below the keys of a study and above `config.yaml`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wsss.planning.recipe import recipe_lines
from wsss.planning.work import Images
from wsss.study.config import (
    ConfigError,
    Study,
    load_study,
    read_study,
    recipe_names,
    recipe_settings,
    recipe_title,
)

ROOT = Path(__file__).resolve().parents[2]
OWN = ("cpu", "gpu", "quick-cpu")
PHOTOS = {"kind": "folder", "root": "photos"}


def test_a_recipe_is_a_file() -> None:
    files = {path.stem for path in (ROOT / "studies" / "recipes").iterdir()}
    assert set(recipe_names()) == files
    assert files >= {*OWN, "paper-resnet38", "paper-vgg16"}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_a_valid_study_with_any_data(name: str) -> None:
    study = load_study({"recipe": name, "dataset": PHOTOS})
    assert study.recipe == name
    assert study == read_study(ROOT / "config.yaml", overrides={"recipe": name, "dataset": PHOTOS})


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_leaves_name_data_and_report_to_the_study(name: str) -> None:
    assert recipe_settings(name).keys().isdisjoint({"name", "results", "recipe", "dataset", "report"})
    assert recipe_title(name).endswith(".")


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_written_in_blocks(name: str) -> None:
    text = (ROOT / "studies" / "recipes" / f"{name}.yaml").read_text("utf-8")
    assert "{" not in "\n".join(line.partition("#")[0] for line in text.splitlines())


@pytest.mark.parametrize("name", OWN)
def test_recipes_for_own_photographs_follow_them(name: str) -> None:
    study = load_study({"recipe": name, "dataset": PHOTOS})
    assert study.random_walk.chosen_keys == ("score", "beta", "t")
    assert study.dense_crf.distances == "share"
    followed = (study.affinitynet.input_scale, study.classifier.crop_size, study.segmenter.crop_size)
    assert {*followed, *dict(study.shards).values()} == {"auto"}


def test_the_order_is_configuration_recipe_study(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("affinitynet: {radius: 4, batch_size: 3}\nseed: 7\n")
    (tmp_path / "study.yaml").write_text(
        "recipe: cpu\ndataset: {kind: folder, root: photos}\nrandom_walk: {t: 9}\n"
    )
    study = read_study(tmp_path / "config.yaml", tmp_path / "study.yaml")
    assert (study.seed, study.affinitynet.radius) == (7, 4)
    assert study.affinitynet.batch_size == recipe_settings("cpu")["affinitynet"]["batch_size"] != 3
    assert study.random_walk.chosen_keys == ("score", "beta")
    assert study.random_walk.t == 9


def test_a_recipe_that_is_named_last_counts_wherever_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "recipe: cpu\nsegmenter: {epochs: 2}\ndataset: {kind: folder, root: p}\n"
    )
    study = read_study(ROOT / "config.yaml", tmp_path / "study.yaml", overrides={"recipe": "gpu"})
    assert (study.classifier.backbone, study.segmenter.epochs) == ("resnet50", 2)


def test_an_unknown_recipe_is_one_line_among_the_problems() -> None:
    with pytest.raises(ConfigError) as error:
        load_study({"recipe": "cpus", "seed": -1})
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    assert sorted(lines) == [
        "recipe: got 'cpus', there is no such recipe, did you mean 'cpu'?",
        "seed: got -1, allowed a whole number >= 0",
    ]
    with pytest.raises(ValueError, match=r"allowed cpu, gpu, paper-resnet38, paper-vgg16, quick-cpu"):
        recipe_settings("zzz")


def test_without_a_recipe_the_default_study_is_as_before() -> None:
    assert Study().recipe is None
    assert load_study({}) == Study()


def test_the_study_for_own_images_is_data_and_a_recipe() -> None:
    content = yaml.safe_load((ROOT / "studies" / "own-images.yaml").read_text("utf-8"))
    assert content.keys() == {"name", "recipe", "dataset"}


def test_what_a_recipe_sets_is_told_from_what_the_study_says() -> None:
    own = {"random_walk": {"background": {"score": 0.45}, "t": "auto"}, "classifier": {"crop_size": 320}}
    study = load_study({"recipe": "cpu", **own})
    images = Images({"train": 800, "val": 200}, scored=0, megapixels=0.15, labels=1.5, longest_side=480)
    said = " ".join(" ".join(recipe_lines(study, images)).split())
    for value in (
        "score 0.45*",
        "crop_size 320*",
        "beta auto,",
        "t auto,",
        "epochs auto (12.0),",
        "batch_size 16,",
    ):
        assert value in said, value
    assert said.count("*") == 3, "two values, and what the star means"
    assert recipe_lines(load_study({}), images) == []
