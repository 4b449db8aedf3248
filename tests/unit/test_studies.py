"""The studies of the paper: complete, valid, and with the published values where they claim them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsss.stages.training.sampling import Plan
from wsss.study.config import Voc12, merged, read_study, recipe_settings
from wsss.study.params import rule_params

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ROOT / "studies"
PAPER = ("voc12-resnet38", "voc12-vgg16")
ROAD = (
    "prepare_dataset",
    "train_classifier",
    "compute_cams",
    "label_confident",
    "train_affinitynet",
    "compute_affinities",
    "random_walk",
    "train_segmenter",
    "compute_segmentation",
)
"""The rules whose results a study is about."""


def paths(mapping: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Key paths of all single values."""
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def stated(name: str) -> dict[str, Any]:
    """What a study and its recipe say."""
    content: dict[str, Any] = yaml.safe_load((STUDIES / f"{name}.yaml").read_text("utf-8"))
    return merged(recipe_settings(content["recipe"]), content) if "recipe" in content else content


@pytest.mark.parametrize("name", [*PAPER, "voc12-resnet50"])
def test_nothing_that_counts_is_left_to_a_default(name: str) -> None:
    study = read_study(ROOT / "config.yaml", STUDIES / f"{name}.yaml")
    used = {path for rule in ROAD for path in paths(rule_params(study, rule))}
    not_stated = used - set(paths(stated(name)))
    nothing_refines, own_files = {"dense_crf"}, {"segmenter.corrected", "dataset.full_masks"}
    assert not_stated - nothing_refines == own_files


@pytest.mark.parametrize("name", [*PAPER, "voc12-resnet50"])
def test_the_file_alone_is_the_study(name: str) -> None:
    study = STUDIES / f"{name}.yaml"
    assert read_study(study) == read_study(ROOT / "config.yaml", study)
    assert read_study(study).name == name


PUBLISHED_ERRORS = {
    "classifier.optimizer.momentum": (0.0005, 0.9),
    "affinitynet.optimizer.momentum": (0.0005, 0.9),
    "affinitynet.train_on.padding": ("black", "mean"),
    "affinitynet.border": ("cropped", "full"),
    "affinitynet.normalization_rate": ("backbone", "head"),
    "random_walk.padding": ("zeros", "none"),
    "confident.pooling": ("scores", "vote"),
}
"""Keys that can copy an error of the published code: its value, and the right one."""


def value_at(study: Mapping[str, Any], key: str) -> Any:
    return reduce(getitem, key.split("."), study)


@pytest.mark.parametrize("key", PUBLISHED_ERRORS)
def test_errors_of_the_published_code_are_copied_by_the_studies_of_the_paper_only(key: str) -> None:
    published, right = PUBLISHED_ERRORS[key]
    assert [value_at(stated(study), key) for study in PAPER] == [published] * 2
    default = value_at(read_study(ROOT / "config.yaml").model_dump(), key)
    assert value_at(stated("voc12-resnet50"), key) == default == right


def test_labels_of_difficult_objects_are_kept_as_published() -> None:
    assert [stated(study)["dataset"]["difficult"] for study in PAPER] == ["kept", "kept"]
    assert (
        stated("voc12-resnet50")["dataset"]["difficult"]
        == "dropped"
        == Voc12(kind="voc12", root="x").difficult
    )


def test_the_animals_in_a_folder_differ_in_their_place_only() -> None:
    config, animals = ROOT / "config.yaml", STUDIES / "voc-animals.yaml"
    everywhere, folder = (
        read_study(config, animals),
        read_study(config, animals, STUDIES / "voc-animals-folder.yaml"),
    )
    assert (everywhere.dataset.kind, folder.dataset.kind) == ("voc12", "folder")
    start = {"weights": everywhere.classifier.weights}
    moved = {"dataset": everywhere.dataset, "classifier": folder.classifier.model_copy(update=start)}
    assert folder.model_copy(update=moved) == everywhere
    assert everywhere.classifier.weights == "imagenet"


def test_the_animals_come_from_voc_itself() -> None:
    dataset = stated("voc-animals")["dataset"]
    assert dataset["classes"] == sorted([*dataset["showing"], "person"])
    assert (dataset["size"], dataset["download"], dataset["train"]) == (256, True, "train_aug")


@pytest.mark.parametrize("name", PAPER)
def test_the_published_walk_normalises_nothing(name: str) -> None:
    assert stated(name)["random_walk"]["normalize"] == "none"


@pytest.mark.parametrize("name", PAPER)
def test_the_backbones_are_those_of_the_name(name: str) -> None:
    study = stated(name)
    backbone = name.removeprefix("voc12-")
    assert {study[section]["backbone"] for section in ("classifier", "affinitynet", "segmenter")} == {
        backbone
    }
    assert len({study[section]["weights"] for section in ("classifier", "affinitynet", "segmenter")}) == 1


@pytest.mark.parametrize("name", [*PAPER, "voc12-resnet50"])
def test_the_segmenter_takes_20000_steps(name: str) -> None:
    segmenter = stated(name)["segmenter"]
    assert Plan(10582, segmenter["batch_size"], segmenter["epochs"], seed=0).steps == 20000
