from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from wsss.method.grid import Padding
from wsss.method.neighbours import Border
from wsss.study.config import AffinityNet, ConfigError, RandomWalk, Study, load_study, merged, read_study
from wsss.study.config.text import commented_yaml, schema_yaml
from wsss.study.modules import loaded_modules
from wsss.study.params import PARAMS, params_class, rule_params

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted(PARAMS)


def problems(config: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_study(config)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


# Generated files


@pytest.mark.parametrize(
    ("name", "expected"),
    [("config.yaml", commented_yaml(Study())), ("schemas/config.schema.yaml", schema_yaml(Study))],
    ids=["config", "schema"],
)
def test_generated_files_are_up_to_date(name: str, expected: str):
    here = (ROOT / name).read_text("utf-8").splitlines()
    command = "wsss config write"
    diff = "\n".join(difflib.unified_diff(here, expected.splitlines(), name, command, lineterm=""))
    assert not diff, f"run `{command}`:\n{diff}"


def test_config_yaml_is_the_default_study():
    assert read_study(ROOT / "config.yaml") == Study() == load_study({})


def test_config_yaml_names_every_key_and_comments_it():
    lines = (ROOT / "config.yaml").read_text("utf-8").splitlines()
    for name, model in sections(Study):
        for key, field in model.model_fields.items():
            assert field.description or key == "kind" or models_in(field.annotation), (
                f"{name}.{key} has no description"
            )
            assert any(re.match(rf"[# ]*{key}:", line) for line in lines), (
                f"{name}.{key} is not in config.yaml"
            )
    assert max(map(len, lines)) <= 120


def test_commented_out_alternatives_are_valid_sections():
    lines, found = (ROOT / "config.yaml").read_text("utf-8").splitlines(), []
    above: list[str] = []
    for number, line in enumerate(lines):
        if section := re.match(r"(\w+):", line):
            above = [section[1]]
        if line.strip() != "# or:":
            continue
        margin = line.index("#")
        content = commented_out(lines[number + 1 :], margin)
        found.append({above[0]: content} if margin else content)
    kinds = [type(value) for overlay in found for value in chosen(load_study(overlay), overlay)]
    assert len(found) == len(kinds) == 14


def commented_out(lines: list[str], margin: int) -> Any:
    """What the comments at a margin hold, up to the next alternative."""
    block = itertools.takewhile(
        lambda line: line[margin:].startswith("# ") and line.strip() != "# or:", lines
    )
    return yaml.safe_load("\n".join(line[margin + 2 :] for line in block if re.match(r" *# *\w+:", line)))


def chosen(study: Study, overlay: dict[str, Any]) -> list[BaseModel]:
    """The model of the innermost mapping that names a kind."""
    section, values = next(iter(overlay.items()))
    model = getattr(study, section)
    if "kind" in values:
        assert model.kind == values["kind"]
        return [model]
    key, inner = next(iter(values.items()))
    assert getattr(model, key).kind == inner["kind"]
    return [getattr(model, key)]


def test_schema_accepts_the_default_study_and_refuses_what_load_study_refuses():
    schema = yaml.safe_load((ROOT / "schemas" / "config.schema.yaml").read_text("utf-8"))
    config = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    jsonschema.validate(config, schema)
    for change in (
        {"nam": "x"},
        {"cams": {"kind": "classifier", "scales": []}},
        {"seed": -1},
        {"confident": {"low_alpha": 1}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(config | change, schema)


def sections(model: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    yield name, model
    for key, field in model.model_fields.items():
        for part in models_in(field.annotation):
            if part.__name__ != "Splits":
                yield from sections(part, key)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    parts = [annotation, *get_args(annotation)]
    return [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]


# What is refused


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"segmenter": {"epochs": "x"}}, "segmenter.epochs: got 'x', allowed a number > 0 or 'auto'"),
        ({"segmenter": {"epochs": 0}}, "segmenter.epochs: got 0, allowed a number > 0 or 'auto'"),
        (
            {"classifier": {"epochs": float("inf")}},
            "classifier.epochs: got inf, allowed a number >= 0 or 'auto'",
        ),
        ({"classifier": {"epochs": None}}, "classifier.epochs: got null, allowed a number >= 0 or 'auto'"),
        (
            {"affinitynet": {"epochs": 0}},
            "affinitynet.epochs: got 0, 0 skips training, so `weights` must be the path of a trained "
            "checkpoint",
        ),
        (
            {"confident": {"pooling": "scores"}},
            "affinitynet: `confident.pooling: scores` labels cells of 8 pixels of the image, so allowed is "
            "input_scale 1, not 2",
        ),
        ({"classifier": {"batch_size": 2.5}}, "classifier.batch_size: got 2.5, allowed a whole number >= 1"),
        (
            {"classifier": {"batch_size": True}},
            "classifier.batch_size: got true, allowed a whole number >= 1",
        ),
        ({"classifier": {"dropout": 1}}, "classifier.dropout: got 1, allowed a number >= 0 and < 1"),
        (
            {"segmenter": {"output_stride": 4}},
            "segmenter.output_stride: got 4, allowed 8 or 16 or 32 or null",
        ),
        (
            {"segmenter": {"crop_size": 100}},
            "segmenter.crop_size: got 100, allowed a whole number >= 32 and a multiple of 8 or 'auto'",
        ),
        ({"segmenter": {"scale": [2, 1]}}, "segmenter.scale: got [2, 1], allowed [lowest, highest]"),
        ({"cams": {"scales": [1, -1]}}, "cams.scales[1]: got -1, allowed a number > 0"),
        (
            {"cams": {"scales": []}},
            "cams.scales: got [], allowed a list with at least 1 items, each a number > 0",
        ),
        (
            {"sweep": {"betas": []}},
            "sweep.betas: got [], allowed a list with at least 1 items, each a number > 0",
        ),
        ({"cams": {"flip": "maybe"}}, "cams.flip: got 'maybe', allowed true or false"),
        (
            {"classifier": {"equivariance": {"scale": 1}}},
            "classifier.equivariance.scale: got 1, allowed a number > 0 and < 1",
        ),
        (
            {"cams": {"weights": "refit"}},
            "cams: `weights: refit` needs `classifier.refit` above 0, which trains these weights",
        ),
        (
            {"cams": None},
            "cams: got null, allowed a section with `kind` 'classifier' or 'files' or 'segmenter'",
        ),
        ({"report": 3}, "report: got 3, allowed a section with the keys gallery"),
        (
            {"cams": {"kind": "files", "format": "psa"}},
            "cams.folder: missing, folder of the files, <id>.npy or as the format has them",
        ),
        (
            {"cams": {"kind": "files", "format": "pza", "folder": "x"}},
            "cams.format: got 'pza', allowed clip_es or irn or png or psa or puzzlecam or stacks",
        ),
        (
            {"affinities": {"kind": "boundary"}},
            "affinities.folder: missing, folder of boundary maps, <id>.npy or <id>.png",
        ),
        (
            {"confident": {"background": {"kind": "constant", "foreground": 0.05}}},
            "confident.background.background: got 0.05, allowed a number < foreground (0.05)",
        ),
        (
            {"random_walk": {"background": {"kind": "powers"}}},
            "random_walk.background.kind: got 'powers', allowed 'power' or 'constant'",
        ),
        (
            {"random_walk": {"background": 3}},
            "random_walk.background: got 3, allowed a section with `kind` 'power' or 'constant'",
        ),
        (
            {"segmenter": {"schedule": {"kind": "cosine", "warmup": 1}}},
            "segmenter.schedule.warmup: got 1, allowed a number >= 0 and < 1",
        ),
        (
            {"segmenter": {"jitter": [0.1, 0.1, 0.1, 0.6]}},
            "segmenter.jitter[3]: got 0.6, allowed a number >= 0 and <= 0.5",
        ),
        (
            {"confident": {"background": {"low_alpha": 30}}},
            "confident.background.high_alpha: got 6.0, allowed a number > low_alpha (30)",
        ),
        (
            {"affinitynet": {"radius": 9, "crop_size": 128}},
            "affinitynet.crop_size: got 128, allowed 144 or more, 2 * radius cells of 8 pixels",
        ),
        ({"refined_splits": ["val"]}, "refined_splits: got ['val'], allowed [train] or [train, val]"),
        ({"name": "My Study"}, "name: got 'My Study', allowed text that matches ^[a-z0-9][a-z0-9_-]*$"),
        (
            {"dataset": {"kind": "photos"}},
            "dataset.kind: got 'photos', allowed 'shapes' or 'folder' or 'voc12' or 'coco'",
        ),
        (
            {"dataset": {"kind": "folder"}},
            "dataset.root: missing, the directory, relative to where snakemake runs",
        ),
        (
            {"dataset": {"kind": "folder", "root": "a{b}"}},
            "dataset.root: got 'a{b}', allowed paths without { and }, which Snakemake fills in",
        ),
        ({"results": "out}"}, "results: got 'out}', allowed paths without }, which Snakemake fills in"),
        (
            {"classifier": {"weights": "{x}.pth"}},
            "classifier.weights: got '{x}.pth', allowed paths without { and }, which Snakemake fills in",
        ),
        (
            {"dataset": {"kind": "folder", "root": "x", "palette": "voc", "mask_values": {0: "cat"}}},
            "dataset.mask_values: allowed null, as `palette` already says what the masks mean",
        ),
        (
            {"dataset": {"kind": "folder", "root": "x", "mask_values": {"x": "cat"}}},
            "dataset.mask_values: got the key 'x', allowed whole numbers >= 0",
        ),
        (
            {"dataset": {"kind": "folder", "root": "x", "mask_values": 3}},
            "dataset.mask_values: got 3, allowed a mapping of whole numbers to text that is not empty "
            "or null",
        ),
        (
            {"dataset": {"kind": "folder", "root": "x", "mask_values": {3: 4}}},
            "dataset.mask_values.3: got 4, which YAML reads as a number, allowed text: put it in quotes, "
            "as in '2024'",
        ),
        (
            {"name": 2024},
            "name: got 2024, which YAML reads as a number, allowed text: put it in quotes, as in '2024'",
        ),
        (
            {"name": True},
            "name: got true, which YAML reads as a truth value, allowed text: put it in quotes, as in '2024'",
        ),
        (
            {"dataset": {"kind": "folder", "root": "x", "scored": "ids.txt"}},
            "dataset.scored: got 'ids.txt', `scored` needs `masks`: without masks there is nothing to score",
        ),
        (
            {"segmenter": {"weights": "none", "backbone": "vgg16", "output_stride": 16}},
            "segmenter.output_stride: got 16, allowed 8 for `vgg16`",
        ),
        (
            {"segmenter": {"head": "largefov"}},
            "segmenter.head: got 'largefov', needs the backbone `vgg16`, not `small`",
        ),
        (
            {"segmenter": {"weights": "imagenet"}},
            "segmenter.weights: got 'imagenet', `small` has no ImageNet weights to download; allowed none or "
            "a path",
        ),
        (
            {"affinitynet": {"weights": "none", "train_on": {"kind": "features"}}},
            "affinitynet.train_on: nothing to freeze: `weights: none` starts from random weights; allowed "
            "{kind: images, frozen_stages: 0, batch_norm: trained}",
        ),
        (
            {"segmenter": {"backbone": "resnet18"}},
            "segmenter: `weights: classifier` needs the classifier's backbone `small`, not `resnet18`",
        ),
        (
            {"affinities": {"kind": "irn"}, "irnet": {"backbone": "resnet18"}},
            "affinities: kind irn trains the network of section irnet: `weights: classifier` needs the "
            "classifier's backbone `small`, not `resnet18`",
        ),
        (
            {
                "affinities": {"kind": "irn"},
                "confident": {"pooling": "scores"},
                "affinitynet": {"input_scale": 1},
            },
            "affinities: kind irn trains the network of section irnet: `confident.pooling: scores` labels "
            "cells of 8 pixels of the image, so allowed is input_scale 1, not 2",
        ),
        (
            {"irnet": {"radius": 13}},
            "irnet.crop_size: got 192, allowed 208 or more, 2 * radius cells of 8 pixels",
        ),
        (
            {"irnet": {"weights": "none"}},
            "irnet.train_on: nothing to freeze: `weights: none` starts from random weights; allowed "
            "{kind: images, frozen_stages: 0, batch_norm: trained}",
        ),
        (
            {"affinities": {"kind": "irnet"}},
            "affinities.kind: got 'irnet', allowed 'network' or 'irn' or 'boundary'",
        ),
    ],
)
def test_impossible_values(config: dict[str, Any], expected: str):
    assert problems(config) == [expected]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"classifer": {}}, "classifer: unknown key, did you mean 'classifier'?"),
        ({"classifier": {"epoch": 3}}, "classifier.epoch: unknown key, did you mean 'epochs'?"),
        ({"confident": {"beta": 8}}, "confident.beta: unknown key, it is known as `random_walk.beta`"),
        (
            {"dataset": {"holdout": 0.2}},
            "dataset.holdout: unknown key, it is known as `dataset.holdout with kind: folder`",
        ),
        ({"affinities": {"zzz": 1}}, "affinities.zzz: unknown key, allowed kind, flip"),
        ({"affinities": {1: 1}}, "affinities.1: unknown key, allowed kind, flip"),
        (
            {"random_walk": {"alpha": 8}},
            "random_walk.alpha: unknown key, it is known as `random_walk.background.alpha with kind: power`",
        ),
        (
            {"segmenter": {"momentum": 0.5}},
            "segmenter.momentum: unknown key, it is known as `segmenter.optimizer.momentum with kind: sgd`",
        ),
        (
            {"random_walk": {"background": {"kind": "constant", "alpha": 3}}},
            "random_walk.background.alpha: unknown key, it is known as `random_walk.background.alpha with "
            "kind: power`",
        ),
    ],
)
def test_unknown_keys(config: dict[str, Any], expected: str):
    assert problems(config) == [expected]


def test_all_problems_in_one_message_without_pydantic_words():
    config = {
        "seed": "x",
        "shards": {"val": 0},
        "dataset": {"kind": "folder", "holdout": 1},
        "cams": 3,
        "zz": 1,
    }
    found = problems(config)
    assert [line.partition(":")[0] for line in found] == [
        "seed", "shards.val", "dataset.root", "dataset.holdout", "cams", "zz",
    ]  # fmt: skip
    assert not re.search(r"pydantic|https?:|type=|Input should", "\n".join(found))


# What is accepted


def test_values_mean_the_same_however_yaml_spells_them():
    spelled = """{classifier: {epochs: 8, batch_size: 4.0, optimizer: {weight_decay: 5e-4}},
                  cams: {scales: [1]}, random_walk: {t: 9.0}}"""
    plain = """{classifier: {epochs: 8.0, batch_size: 4, optimizer: {weight_decay: 0.0005}},
                cams: {scales: [1.0]}, random_walk: {t: 9}}"""
    studies = [load_study(yaml.safe_load(text)) for text in (spelled, plain)]
    assert repr(studies[0]) == repr(studies[1])
    assert all(repr(rule_params(studies[0], rule)) == repr(rule_params(studies[1], rule)) for rule in RULES)


def test_overlay_of_another_kind_leaves_the_keys_of_shapes_behind(tmp_path: Path):
    overlay = tmp_path / "own.yaml"
    overlay.write_text("dataset: {kind: folder, root: photos}\ncams: {flip: no}\n")
    study = read_study(ROOT / "config.yaml", overlay)
    assert study == load_study({"dataset": {"kind": "folder", "root": "photos"}, "cams": {"flip": False}})


def test_order_of_the_values_of_a_sweep_does_not_matter():
    swept = load_study({"sweep": {"betas": [8, 2.5, 8.0], "ts": [4, 1]}}).sweep
    assert (swept.betas, swept.ts) == ((2.5, 8.0), (1, 4))


def test_order_of_splits_does_not_matter():
    assert load_study({"refined_splits": ["val", "train"]}) == load_study(
        {"refined_splits": ["train", "val"]}
    )


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/anna")
    sections = {"dataset": {"kind": "folder", "root": "~/photos"}, "results": "~/results"}
    study = load_study(
        sections | {"classifier": {"weights": "~/w.pth"}, "cams": FILES | {"folder": "~/cams"}}
    )
    found = (study.dataset.root, study.results, study.classifier.weights, study.cams.folder)
    assert found == tuple(f"/home/anna/{name}" for name in ("photos", "results", "w.pth", "cams"))
    assert load_study({"dataset": {"kind": "folder", "root": "a~b"}}).dataset.root == "a~b"


def test_a_study_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Study().cams.flip = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: a\nseed: [1\n\ncams: 2\n",
            ":4:5: not valid YAML: while parsing a flow sequence that begins in line 2, ",
        ),
        ("name: a\ncams:\n\tflip: no\n", ":3:1: not valid YAML: .*; indent with spaces"),
        ("name: a\nseed: 1\nname: b\n", ":3: name is there twice, first in line 1"),
        ("cams:\n  flip: no\n  flip: yes\n", r":3: cams\.flip is there twice, first in line 2"),
        (
            "classifier:\n  epochs: 3\n batch_size: 4\n",
            ":3:2: not valid YAML: .*; keys of one section begin in the same column",
        ),
        ("\nname: a: b\n", ":2:8: not valid YAML: .*; a text with a colon needs quotation marks"),
        ("\n- 1", ":2: expected a mapping"),
        ("", ": nothing in it, expected a mapping"),
    ],
)
def test_unreadable_file_is_named_with_the_line(text: str, said: str, tmp_path: Path):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"study\.yaml{said}"):
        read_study(tmp_path / "study.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "study.yaml").write_bytes(b"name: a\n# M\xfcnchen\n")
    with pytest.raises(ConfigError, match=r"study\.yaml:2: byte 0xfc is not UTF-8"):
        read_study(tmp_path / "study.yaml")


def test_a_problem_names_the_file_and_line_of_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text(
        "name: a\ncams: {flip: maybe}\nsegmenter: {epochs: 1}\nclassifier:\n  epoch: 3\n"
    )
    Path("two.yaml").write_text("cams:\n  scales: [1, -1]\n  flip: perhaps\n")
    with pytest.raises(ConfigError) as error:
        read_study("one.yaml", "two.yaml", overrides={"segmenter": {"epochs": "x"}})
    assert {line.strip() for line in str(error.value).splitlines()[1:]} == {
        "one.yaml:5: classifier.epoch: unknown key, did you mean 'epochs'?",
        "two.yaml:2: cams.scales[1]: got -1, allowed a number > 0",
        "two.yaml:3: cams.flip: got 'perhaps', allowed true or false",
        "segmenter.epochs: got 'x', allowed a number > 0 or 'auto'",
    }


def test_a_missing_key_is_looked_for_in_its_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text("name: a\n\ndataset:\n  kind: folder\n")
    with pytest.raises(ConfigError, match=r"one\.yaml:3: dataset\.root: missing"):
        read_study("one.yaml")


def test_a_mapping_of_another_kind_replaces_the_one_below_it(tmp_path: Path):
    overlays = [tmp_path / "one.yaml", tmp_path / "two.yaml"]
    overlays[0].write_text("random_walk: {background: {kind: constant, score: 0.4}}\n")
    overlays[1].write_text("random_walk: {background: {score: 0.5}, t: 7}\n")
    walk = read_study(ROOT / "config.yaml", *overlays).random_walk
    assert (walk.background.model_dump(), walk.t) == ({"kind": "constant", "score": 0.5}, 7)
    assert read_study(*overlays, overrides={"random_walk": {"t": 8}}).random_walk.t == 8


# What a study makes

ROAD = ["classifier", "cams", "confident", "affinities", "random_walk", "segmentation"]
BOUNDARY = {"kind": "boundary", "folder": "maps"}
FILES = {"kind": "files", "format": "irn", "folder": "cams"}
IRN = {"kind": "irn"}
FROM_SCRATCH = {"weights": "none", "train_on": {"batch_norm": "trained"}}
FROM_SCRATCH_ON_IMAGES = {"weights": "none", "train_on": {"kind": "images", "batch_norm": "trained"}}


@pytest.mark.parametrize(
    ("change", "trained", "skipped"),
    [
        ({}, ["classifier", "affinitynet", "segmenter"], set()),
        ({"affinities": IRN}, ["classifier", "irnet", "segmenter"], set()),
        (
            {
                "cams": FILES,
                "affinities": IRN,
                "irnet": FROM_SCRATCH_ON_IMAGES,
                "segmenter": {"weights": "none"},
            },
            ["irnet", "segmenter"],
            {"classifier"},
        ),
        ({"affinities": BOUNDARY}, ["classifier", "segmenter"], {"confident"}),
        (
            {"cams": FILES, "affinitynet": FROM_SCRATCH, "segmenter": {"weights": "none"}},
            ["affinitynet", "segmenter"],
            {"classifier"},
        ),
        (
            {"cams": FILES, "segmenter": {"weights": "none"}},
            ["classifier", "affinitynet", "segmenter"],
            set(),
        ),
        (
            {"cams": FILES, "affinities": BOUNDARY, "segmenter": {"weights": "none"}},
            ["segmenter"],
            {"classifier", "confident"},
        ),
    ],
)
def test_a_study_makes_what_it_needs(change: dict[str, Any], trained: list[str], skipped: set[str]):
    study = load_study(change)
    assert study.trained_networks == trained
    assert study.scored_artifacts == [artifact for artifact in ROAD if artifact not in skipped]


@pytest.mark.parametrize("kind", ["network", "boundary"])
def test_a_network_that_is_not_trained_needs_not_fit(kind: str):
    affinities = BOUNDARY if kind == "boundary" else {}
    study = load_study({"affinities": affinities, "irnet": {"backbone": "resnet18"}})
    assert "irnet" not in study.trained_networks


@pytest.mark.parametrize("rule", RULES)
def test_params_survive_json_and_come_back_as_sections(rule: str):
    params = rule_params(Study(), rule)
    assert repr(json.loads(json.dumps(params))) == repr(params)
    assert params_class(rule).model_validate(params) == params_class(rule).of(Study())


def test_unknown_rule():
    with pytest.raises(ValueError, match=r"'compute_cam'.*did you mean 'compute_cams'"):
        rule_params(Study(), "compute_cam")


def test_modules_that_are_loaded_by_name_exist():
    for changes in STUDIES.values():
        for rule in RULES:
            for module in loaded_modules(load_study(changes), rule):
                assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module


def test_a_study_loads_what_it_selects_and_nothing_else():
    study = load_study(STUDIES["other kinds"])
    assert "wsss.models.backbones.small" in loaded_modules(Study(), "train_classifier")
    assert loaded_modules(study, "compute_cams") == ["wsss.stages.cams.files", "wsss.stages.cams.formats.irn"]
    assert loaded_modules(study, "compute_affinities") == ["wsss.stages.affinities.boundary"]
    irn = load_study({"affinities": IRN})
    assert loaded_modules(irn, "compute_affinities") == [
        "wsss.models.backbones.small",
        "wsss.stages.affinities.irn",
    ]
    assert loaded_modules(irn, "train_irnet") == [
        "wsss.models.backbones.small",
        "wsss.models.weights.pytorch",
    ]
    assert "wsss.models.heads.smp" in loaded_modules(study, "train_segmenter")
    assert not any("heads" in module for module in loaded_modules(study, "train_classifier"))


# Each key, changed alone, reaches the rules whose result it changes: no other, and none without effect

STUDIES: dict[str, dict[str, Any]] = {
    "default": {},
    "other kinds": {
        "dataset": {"kind": "folder", "root": "photos", "masks": "masks"},
        "classifier": {"optimizer": {"kind": "adamw"}, "schedule": {"kind": "cosine"}},
        "cams": FILES,
        "confident": {"background": {"kind": "constant"}, "refine": "none"},
        "affinities": BOUNDARY,
        "random_walk": {"background": {"kind": "constant"}, "normalize": "image", "refine": "none"},
        "segmenter": {"head": "smp/unet", "optimizer": {"kind": "adamw"}},
        "segmentation": {"refine": "dense_crf"},
    },
    "features, nothing refined": {
        "dataset": {"kind": "voc12", "root": "voc", "train": "train", "sbd": "sbd", "test": True},
        "affinitynet": {"train_on": {"kind": "features"}},
        "confident": {"refine": "none"},
        "random_walk": {"refine": "none"},
    },
    "some classes of VOC": {
        "dataset": {
            "kind": "voc12",
            "root": "voc",
            "train": "train",
            "classes": ["cat", "dog"],
            "showing": ["cat"],
            "size": 200,
        },
    },
    "irn": {"affinities": IRN},
    "irn on features": {
        "affinities": IRN,
        "irnet": {"input_scale": "auto", "train_on": {"kind": "features"}},
    },
    "finished irnet": {"affinities": IRN, "irnet": {"weights": "irnet.pt", "epochs": 0}},
    "finished networks": {
        "dataset": {"kind": "coco", "root": "coco"},
        "classifier": {"weights": "classifier.pt", "epochs": 0},
        "affinitynet": {"weights": "affinitynet.pt", "epochs": 0},
    },
    "lists of splits": {
        "dataset": {"kind": "folder", "root": "p", "splits": {"train": "a.txt", "val": "b.txt"}},
    },
    "follows the photographs": {
        "shards": {"train": "auto", "val": "auto", "test": "auto"},
        "classifier": {"crop_size": "auto"},
        "dense_crf": {"bilateral": [0.16, 10, 3], "distances": "share"},
        "affinitynet": {"input_scale": "auto"},
        "random_walk": {"background": {"alpha": "auto"}, "beta": "auto", "t": 50},
        "segmenter": {"crop_size": "auto"},
        "sweep": {"images": 100},
    },
    "two rounds": {
        "cams": {"kind": "segmenter", "checkpoint": "network.pt"},
        "rounds": {"count": 2, "later": {"segmentation": {"flip": True}}},
    },
}

ADAMW_AND_COSINE = {"optimizer": {"kind": "adamw"}, "schedule": {"kind": "cosine"}}
STUDIES_FOR_THEIR_OWN_KEYS: dict[str, dict[str, Any]] = {
    "other trainings": {
        "affinitynet": ADAMW_AND_COSINE,
        "segmenter": {"loss": {"kind": "symmetric"}, "schedule": {"kind": "cosine"}},
    },
    "other trainings, irn": {
        "affinities": IRN,
        "irnet": ADAMW_AND_COSINE,
        "segmenter": {"loss": {"kind": "bootstrapped"}},
    },
}
"""Of these, only the keys are changed that none of the others has."""

TRAININGS = {"train_classifier", "train_affinitynet", "train_irnet", "train_segmenter"}
NETWORKS = {"score_classifier", "compute_cams", "compute_affinities", "compute_segmentation"}
WALKED = {"random_walk", "bundle_affinitynet", "choose_random_walk"}
FINISHED_SWEEP = {"sweep_random_walk", "finish_sweep"}
WALKING = {"score_affinities", "write_tables", "measure_quality", *WALKED}
SEGMENTATION = {"compute_segmentation", "bundle_segmenter"}
SEGMENTING = {"predict_images", *SEGMENTATION}
ON_DEVICE = TRAININGS | NETWORKS | {"label_confident", "random_walk", "score_affinities", "predict_images"}
BUNDLES = {"bundle_classifier", "bundle_affinitynet", "bundle_segmenter"}

REACHES: dict[str, set[str]] = {
    "name": BUNDLES | {"write_report"},
    "results": set(),
    "refined_splits": set(),
    "seed": TRAININGS,
    "precision": TRAININGS | NETWORKS | BUNDLES,
    "deterministic": ON_DEVICE,
    "shards": {"prepare_dataset"},
    "dataset": {"prepare_dataset"},
    "classifier": {"train_classifier"},
    "cams": {"compute_cams", "write_tables", "bundle_classifier"},
    "cams.format": {"compute_cams", "write_tables"},
    "cams.folder": {"compute_cams", "write_tables"},
    "confident": {"label_confident"},
    "confident.refine": {"label_confident", "score_cams"},
    "dense_crf": {"label_confident", "score_cams", "finish_sweep", *WALKED, *SEGMENTATION},
    "affinitynet": {"train_affinitynet"},
    "irnet": {"train_irnet"},
    "affinities": {"compute_affinities", "bundle_affinitynet"},
    "random_walk": WALKING,
    "random_walk.refine": {"write_tables", "score_cams", "measure_quality", "finish_sweep", *WALKED},
    "random_walk.tolerance": WALKING | FINISHED_SWEEP,
    "random_walk.padding": WALKING | FINISHED_SWEEP,
    "random_walk.normalize_on": WALKING | FINISHED_SWEEP,
    "sweep": {"sweep_random_walk"},
    "sweep.betas": set(),
    "sweep.images": {"choose_random_walk", *FINISHED_SWEEP},
    "segmenter": {"train_segmenter"},
    "segmenter.head": {"train_segmenter", *SEGMENTING},
    "segmenter.corrected": {"train_segmenter", "check_corrected"},
    "segmentation": {"compute_segmentation", "write_tables", "bundle_segmenter"},
    "segmentation.refine": {"write_tables", *SEGMENTING},
    "segmentation.splits": set(),
    "rounds": set(),
    "rounds.count": {"bundle_segmenter"},
    "rounds.later": {"bundle_segmenter"},
    "upper_bound": set(),
    "predict": set(),
    "predict.images": {"predict_images"},
    "report": {"plot_train_gallery", "plot_val_gallery", "plot_quality"},
}  # fmt: skip
"""By key, or by section for all keys without an entry of their own."""

NO_VIEW = {"classifier.equivariance.scale": {"train_classifier"}}
REFINED_BY_DEFAULT: dict[str, set[str]] = {
    **NO_VIEW,
    "shards.test": {"prepare_dataset"},
    "dense_crf": SEGMENTATION,
    "confident.refine": {"score_cams"},
    "random_walk.refine": {"score_cams"},
    "random_walk.normalize_on": WALKING,
}

WITHOUT_EFFECT: dict[str, dict[str, set[str]]] = {
    "default": REFINED_BY_DEFAULT,
    "other kinds": {
        **NO_VIEW,
        "shards.test": {"prepare_dataset"},
        "dense_crf": {"label_confident", "score_cams", "finish_sweep", *WALKED},
        "precision": {"compute_cams", "compute_affinities"},
        "deterministic": {"compute_cams", "compute_affinities"},
    },
    "irn": REFINED_BY_DEFAULT,
    "some classes of VOC": REFINED_BY_DEFAULT,
    "irn on features": REFINED_BY_DEFAULT,
    "finished irnet": {
        **REFINED_BY_DEFAULT,
        **{
            f"irnet.{key}": {"train_irnet"}
            for key in ("batch_size", "crop_size", "train_on", "optimizer", "schedule")
        },
    },
    "features, nothing refined": {
        **NO_VIEW,
        "dataset.sbd": {"prepare_dataset"},
        "random_walk.normalize_on": WALKING,
        "dense_crf": {"label_confident", "score_cams", "finish_sweep", *WALKED, *SEGMENTATION},
    },
    "finished networks": {
        "shards.test": {"prepare_dataset"},
        "dense_crf": SEGMENTATION,
        "confident.refine": {"score_cams"},
        "random_walk.refine": {"score_cams"},
        "random_walk.normalize_on": WALKING,
        **{
            f"{section}.{key}": {f"train_{section}"}
            for section, keys in {
                "classifier": (
                    "frozen_stages", "batch_norm", "dropout", "batch_size", "crop_size", "longest_side",
                    "scale", "jitter", "equivariance", "optimizer", "schedule",
                ),
                "affinitynet": (
                    "normalization_rate", "batch_size", "crop_size", "train_on", "optimizer", "schedule",
                ),
            }.items()
            for key in keys
        },
    },
    "lists of splits": {
        **NO_VIEW,
        "shards.test": {"prepare_dataset"},
        "dataset.holdout": {"prepare_dataset"},
        "dense_crf": SEGMENTATION,
        "confident.refine": {"score_cams"},
        "random_walk.refine": {"score_cams"},
        "random_walk.normalize_on": WALKING,
    },
    "follows the photographs": {
        **NO_VIEW,
        "shards.test": {"prepare_dataset"},
        "dense_crf": SEGMENTATION,
        "confident.refine": {"score_cams"},
        "random_walk.refine": {"score_cams"},
        "random_walk.normalize_on": WALKING,
    },
    "two rounds": {
        **NO_VIEW,
        "shards.test": {"prepare_dataset"},
        "cams": {"bundle_classifier"},
        "random_walk.normalize_on": WALKING,
        "segmentation.flip": {"bundle_segmenter"},
        "dense_crf": SEGMENTATION,
        "confident.refine": {"score_cams"},
        "random_walk.refine": {"score_cams"},
    },
}  # fmt: skip
"""By study: the rules that a key, or all keys of a section, does not reach because of the others' values."""

SWEPT_TOO = {
    ("other kinds", "random_walk.normalize"): {"sweep_random_walk"},
    ("follows the photographs", "random_walk.t"): {"sweep_random_walk"},
    ("follows the photographs", "shards.train"): {"choose_random_walk", *FINISHED_SWEEP},
    ("two rounds", "segmenter.head"): {"compute_cams"},
}
"""The sweep tries the walk's own normalisation, the values that a walk with `auto` leaves to no choice, and
a share of `sweep.images` in each shard. Seeds come from a segmentation network."""

OTHER_VALUES: dict[str, Any] = {
    "name": "other",
    "palette": {None: "voc"},
    "mask_values": {None: {0: "background", 255: "cat"}},
    "precision": "float32",
    "refined_splits": ["train", "val"],
    "backbone": None,
    "weights": "other.pt",
    "head": {"deeplabv3": "smp/fpn", "smp/unet": "deeplabv3"},
    "batch_norm": {"trained": "frozen", "frozen": "trained"},
    "cams.weights": "refit",
    "classifier.equivariance.scale": 0.3,
    "padding": "black",
    "random_walk.padding": "zeros",
    "normalize_on": "pixels",
    "normalization_rate": "backbone",
    "border": "cropped",
    "decayed": {"weights": "matrices", "matrices": "weights"},
    "normalization": "none",
    "longest_side": 100,
    "output_stride": 16,
    "pooling": "scores",
    "refine": {"none": "dense_crf", "dense_crf": "none"},
    "normalize": {"none": "class", "image": "class"},
    "format": "psa",
    "difficult": "kept",
    "dataset.classes": {("cat", "dog"): ["dog", "cat"]},
    "showing": {("cat",): ["dog"]},
    "dataset.size": {128: 64, 200: 100},
    "year": 2017,
    "train": {"train": "train_aug", "auto": 3},
    "val": {"auto": 3},
    "test": {"auto": 3},
    "splits": {("train", "val"): ["val"]},
    "alphas": [3.0],
    "constants": [0.2],
    "betas": [3.0],
    "ts": [3],
    "scales": [1.0, 2.0],
    "masks": {None: "m", "masks": "m"},
    "corrected": "corrected",
    "agreed_with": "results/other/random_walk",
    "jitter": [0.1, 0.1, 0.1, 0.01],
    "scale": [0.5, 2.0],
    "gaussian": [2.0, 2.0],
    "bilateral": [10.0, 10.0, 2.0],
    "crop_size": {128: 136, 192: 200, "auto": 128},
    "input_scale": {"auto": 1.0},
    "alpha": {"auto": 2.0},
    "beta": {"auto": 8.0},
    "distances": {"pixels": "share", "share": "pixels"},
    "target": {"hard": "soft"},
    "supervision": {"weak": "full", "full": "weak"},
    "full_masks": {None: "masks"},
    "sweep.images": 50,
    "images": {None: "new", "images": "other"},
}
"""By key or its last word: another possible value, perhaps by the value before; None: none alone."""

NEEDS = {
    "dataset.test": {"dataset": {"classes": None, "showing": None, "size": None}},
    "classifier.frozen_stages": {"classifier": {"weights": "start.pt"}},
    "classifier.batch_norm": {"classifier": {"weights": "start.pt"}},
    "cams.weights": {"classifier": {"refit": 0.5}},
    "confident.pooling": {"affinitynet": {"input_scale": 1.0}, "irnet": {"input_scale": 1.0}},
    "segmenter.selection.held_out": {"segmenter": {"selection": {"of": 2}}},
    "affinitynet.normalization_rate": {"affinitynet": {"optimizer": {"head_lr_multiplier": 10.0}}},
}
"""What else a change needs to be a possible one; for these keys the study is compared with that in place."""


def leaves(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        elif key != "kind":
            yield f"{path}{key}", value


def another(path: str, value: Any) -> Any:
    """Another possible value of a key; None where there is none alone."""
    last = path.rpartition(".")[2]
    found = OTHER_VALUES.get(path, OTHER_VALUES.get(last, {}))
    if not isinstance(found, dict) or value in found:
        return found[value] if isinstance(found, dict) else found
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.25
    return "other" if isinstance(value, str) else None


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def longest(path: str, table: dict[str, set[str]]) -> set[str]:
    """The entry of a key or of the section around it."""
    parts = path.split(".")
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((table[name] for name in names if name in table), set())


def run(study: Study) -> set[str]:
    """The rules that a study runs."""
    skipped = (
        set() if study.uses_classifier else {"train_classifier", "score_classifier", "bundle_classifier"}
    )
    if not study.random_walk.chosen_keys:
        skipped |= {"choose_random_walk"}
    if study.pair_network != "affinitynet":
        skipped |= {"train_affinitynet", "bundle_affinitynet"}
    if study.pair_network != "irnet":
        skipped |= {"train_irnet"}
    if not study.uses_confident:
        skipped |= {"label_confident", "score_confident"}
    return set(RULES) - skipped


def reached(before: Study, after: Study) -> set[str]:
    """The rules that run before and after a change, and differ in params or in the modules that they load."""
    return {
        rule
        for rule in run(before) & run(after)
        if rule_params(before, rule) != rule_params(after, rule)
        or loaded_modules(before, rule) != loaded_modules(after, rule)
    }


def cases(studies: dict[str, dict[str, Any]]) -> list[tuple[str, str, Any]]:
    """The studies, the keys that are changed alone, and their values before."""
    return [
        (name, path, value)
        for name, changes in studies.items()
        for path, value in leaves(load_study(changes).model_dump())
        if another(path, value) is not None
    ]


CASES = cases(STUDIES)
KNOWN = {path for _, path, _ in CASES}
CASES += [case for case in cases(STUDIES_FOR_THEIR_OWN_KEYS) if case[1] not in KNOWN]


@pytest.mark.parametrize(("name", "path", "value"), CASES, ids=[f"{case[0]}: {case[1]}" for case in CASES])
def test_a_key_reaches_the_rules_whose_result_it_changes(name: str, path: str, value: Any):
    base = merged((STUDIES | STUDIES_FOR_THEIR_OWN_KEYS)[name], NEEDS.get(path, {}))
    before, after = load_study(base), load_study(merged(base, nested(path, another(path, value))))
    expected = longest(path, REACHES) - longest(path, WITHOUT_EFFECT.get(name, {}))
    expected = expected | SWEPT_TOO.get((name, path), set())
    assert reached(before, after) == expected & run(before)


def keys_of(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The paths of all keys of the schema, those of every kind included; a kind itself is no value."""
    for key, field in model.model_fields.items():
        parts = models_in(field.annotation)
        for part in parts:
            yield from keys_of(part, f"{path}{key}.")
        if not parts and key != "kind":
            yield f"{path}{key}"


TESTED_ELSEWHERE = {
    *(f"{network}.backbone" for network in ("classifier", "affinitynet", "irnet", "segmenter")),
    "recipe",
}
"""Keys that have no other value alone: backbones, see below, and a recipe, which stands for other keys."""


def test_no_key_of_the_schema_is_left_out():
    tested = {path for _, path, _ in CASES}
    overlay = {"rounds.later"} if "rounds.later.segmentation.flip" in tested else set()
    assert set(keys_of(Study)) - tested - overlay == TESTED_ELSEWHERE


@pytest.mark.parametrize("network", ["classifier", "affinitynet", "irnet", "segmenter"])
def test_a_backbone_reaches_its_training_and_what_is_computed_by_it(network: str):
    scratch = {"weights": "none"}
    base = {
        "affinitynet": FROM_SCRATCH,
        "irnet": FROM_SCRATCH_ON_IMAGES,
        "affinities": IRN if network == "irnet" else {},
        "segmenter": scratch,
    }
    before, after = load_study(base), load_study(merged(base, {network: {"backbone": "resnet18"}}))
    computed = {
        "classifier": {"compute_cams", "score_classifier", "bundle_classifier"},
        "affinitynet": {"compute_affinities", "bundle_affinitynet"},
        "irnet": {"compute_affinities"},
        "segmenter": SEGMENTING,
    }
    assert reached(before, after) == {f"train_{network}", *computed[network]}


def test_the_rate_of_norms_counts_where_it_is_another():
    def trained(**keys: Any) -> dict[str, Any]:
        return rule_params(load_study({"affinitynet": keys}), "train_affinitynet")["affinitynet"]

    fast = {"optimizer": {"head_lr_multiplier": 10.0}}
    assert trained(**fast, normalization_rate="backbone")["normalization_rate"] == "backbone"
    assert "normalization_rate" not in trained(normalization_rate="backbone")
    assert "normalization_rate" not in trained(**fast, normalization="none")


@pytest.mark.parametrize(
    ("here", "method"),
    [
        (AffinityNet.model_fields["border"].annotation, Border),
        (RandomWalk.model_fields["padding"].annotation, Padding),
    ],
)
def test_options_are_those_of_the_method(here: Any, method: Any):
    """The method knows no configuration: the lists of options that stand twice."""
    assert get_args(here) == get_args(method)
