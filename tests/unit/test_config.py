from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from wsss.study.config import ConfigError, Study, load_study, read_study, section_params
from wsss.study.config.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted(
    name
    for file in (ROOT / "rules").glob("*.smk")
    for name in re.findall(r"^ *(?:rule|checkpoint) (\w+):", file.read_text(), flags=re.MULTILINE)
)


def problems(config: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_study(config)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


# Generated files


@pytest.mark.parametrize("name", ["config.yaml", "schemas/config.schema.yaml"])
def test_generated_files_are_up_to_date(name: str, tmp_path: Path):
    (tmp_path / "schemas").mkdir()
    main(tmp_path)
    here, expected = ((root / name).read_text("utf-8").splitlines() for root in (ROOT, tmp_path))
    diff = "\n".join(difflib.unified_diff(here, expected, name, "python -m wsss.study.config", lineterm=""))
    assert not diff, f"run `python -m wsss.study.config`:\n{diff}"


def test_config_yaml_is_the_default_study():
    assert read_study(ROOT / "config.yaml") == Study() == load_study({})


def test_config_yaml_names_every_key_and_comments_it():
    lines = (ROOT / "config.yaml").read_text("utf-8").splitlines()
    for name, model in sections(Study):
        for key, field in model.model_fields.items():
            assert field.description or issubclass_of_model(field.annotation), (
                f"{name}.{key} has no description"
            )
            assert any(re.match(rf"[# ]*{key}:", line) for line in lines), (
                f"{name}.{key} is not in config.yaml"
            )
    assert max(map(len, lines)) <= 120


def test_commented_out_alternatives_are_valid_sections():
    text = (ROOT / "config.yaml").read_text("utf-8")
    found = re.findall(r"^# or:\n((?:# (?!or:).*\n)+)", text, flags=re.MULTILINE)
    sections = [yaml.safe_load(re.sub("^# ", "", alternative, flags=re.MULTILINE)) for alternative in found]
    models = get_args(Study.model_fields["dataset"].annotation)
    assert [type(load_study(section).dataset) for section in sections] == list(models[1:])


def test_schema_accepts_the_default_study_and_refuses_what_load_study_refuses():
    schema = yaml.safe_load((ROOT / "schemas" / "config.schema.yaml").read_text("utf-8"))
    config = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    jsonschema.validate(config, schema)
    for change in ({"nam": "x"}, {"cam": {"scales": []}}, {"seed": -1}, {"confident": {"low_alpha": 0}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(config | change, schema)


def sections(model: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    yield name, model
    for key, field in model.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel) and part.__name__ != "Splits":
                yield from sections(part, key)


def issubclass_of_model(annotation: Any) -> bool:
    parts = get_args(annotation) or (annotation,)
    return all(isinstance(part, type) and issubclass(part, BaseModel) for part in parts)


# What is refused


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"segmenter": {"epochs": "x"}}, "segmenter.epochs: got 'x', allowed a number > 0"),
        ({"segmenter": {"epochs": 0}}, "segmenter.epochs: got 0, allowed a number > 0"),
        ({"classifier": {"epochs": float("inf")}}, "classifier.epochs: got inf, allowed a number >= 0"),
        ({"classifier": {"epochs": None}}, "classifier.epochs: got null, allowed a number >= 0"),
        (
            {"affinitynet": {"epochs": 0}},
            "affinitynet.epochs: got 0, only `weights` with the path of a finished network need no training",
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
        ({"segmenter": {"output_stride": 4}}, "segmenter.output_stride: got 4, allowed 8 or 16 or 32"),
        (
            {"segmenter": {"crop_size": 100}},
            "segmenter.crop_size: got 100, allowed a whole number >= 32 and a multiple of 8",
        ),
        ({"segmenter": {"scale": [2, 1]}}, "segmenter.scale: got [2, 1], allowed [lowest, highest]"),
        ({"cam": {"scales": [1, -1]}}, "cam.scales[1]: got -1, allowed a number > 0"),
        (
            {"cam": {"scales": []}},
            "cam.scales: got [], allowed a list with at least 1 items, each a number > 0",
        ),
        (
            {"sweep": {"betas": []}},
            "sweep.betas: got [], allowed a list with at least 1 items, each a number > 0",
        ),
        ({"cam": {"flip": "maybe"}}, "cam.flip: got 'maybe', allowed true or false"),
        ({"cam": None}, "cam: got null, allowed a section with the keys source, folder, scales, flip"),
        ({"cam": {"source": "psa"}}, "cam.folder: got null, allowed the path of a folder"),
        (
            {"cam": {"folder": "cams"}},
            "cam.folder: got 'cams', allowed null, as `source: classifier` reads no folder",
        ),
        ({"affinity": {"kind": "boundary"}}, "affinity.boundaries: got null, allowed the path of a folder"),
        (
            {"affinity": {"boundaries": "maps"}},
            "affinity.boundaries: got 'maps', allowed null, as `kind: network` reads no folder",
        ),
        (
            {"confident": {"foreground_threshold": 0.05}},
            "confident.background_threshold: got 0.05, allowed a number < foreground_threshold (0.05)",
        ),
        (
            {"segmenter": {"jitter": [0.1, 0.1, 0.1, 0.6]}},
            "segmenter.jitter[3]: got 0.6, allowed a number >= 0 and <= 0.5",
        ),
        (
            {"confident": {"low_alpha": 30}},
            "confident.high_alpha: got 6.0, allowed a number > low_alpha (30)",
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
            {"dataset": {"kind": "folder", "root": "x", "scored": "ids.txt"}},
            "dataset.scored: got 'ids.txt', allowed null, as long as `masks` is null: there is nothing "
            "to score on",
        ),
        (
            {"segmenter": {"weights": "none", "backbone": "vgg16", "output_stride": 16}},
            "segmenter.output_stride: got 16, allowed 8, the only one of `vgg16`",
        ),
        (
            {"segmenter": {"name": "largefov"}},
            "segmenter.name: got 'largefov', needs the backbone `vgg16`, not `small`",
        ),
        (
            {"segmenter": {"weights": "imagenet"}},
            "segmenter.weights: got 'imagenet', the backbone `small` has no ImageNet weights",
        ),
        (
            {"affinitynet": {"weights": "none", "freeze_backbone": True}},
            "affinitynet.freeze_backbone: got true, `weights: none` leaves nothing that is worth freezing",
        ),
        (
            {"segmenter": {"backbone": "resnet18"}},
            "segmenter: `weights: classifier` needs the classifier's backbone `small`, not `resnet18`",
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
        ({"affinity": {"zzz": 1}}, "affinity.zzz: unknown key, allowed kind, boundaries, flip"),
        ({"affinity": {1: 1}}, "affinity.1: unknown key, allowed kind, boundaries, flip"),
    ],
)
def test_unknown_keys(config: dict[str, Any], expected: str):
    assert problems(config) == [expected]


def test_all_problems_in_one_message_without_pydantic_words():
    config = {
        "seed": "x",
        "shards": {"val": 0},
        "dataset": {"kind": "folder", "holdout": 1},
        "cam": 3,
        "zz": 1,
    }
    found = problems(config)
    assert [line.partition(":")[0] for line in found] == [
        "seed", "shards.val", "dataset.root", "dataset.holdout", "cam", "zz",
    ]  # fmt: skip
    assert not re.search(r"pydantic|https?:|type=|Input should", "\n".join(found))


# What is accepted


def test_values_mean_the_same_however_yaml_spells_them():
    spelled = """{classifier: {epochs: 8, batch_size: 4.0, weight_decay: 5e-4}, cam: {scales: [1]},
                  random_walk: {t: 9.0}}"""
    plain = """{classifier: {epochs: 8.0, batch_size: 4, weight_decay: 0.0005}, cam: {scales: [1.0]},
                random_walk: {t: 9}}"""
    studies = [load_study(yaml.safe_load(text)) for text in (spelled, plain)]
    assert repr(studies[0]) == repr(studies[1])
    assert all(
        repr(section_params(studies[0], rule)) == repr(section_params(studies[1], rule)) for rule in RULES
    )


def test_overlay_of_another_kind_leaves_the_keys_of_shapes_behind(tmp_path: Path):
    overlay = tmp_path / "own.yaml"
    overlay.write_text("dataset: {kind: folder, root: photos}\ncam: {flip: no}\n")
    study = read_study(ROOT / "config.yaml", overlay)
    assert study == load_study({"dataset": {"kind": "folder", "root": "photos"}, "cam": {"flip": False}})


def test_order_of_the_values_of_a_sweep_does_not_matter():
    swept = load_study({"sweep": {"betas": [8, 2.5, 8.0], "ts": [4, 1]}}).sweep
    assert (swept.betas, swept.ts) == ((2.5, 8.0), (1, 4))


def test_order_of_splits_does_not_matter():
    assert load_study({"refined_splits": ["val", "train"]}) == load_study(
        {"refined_splits": ["train", "val"]}
    )


def test_a_study_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Study().cam.flip = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "word"), [("a: [", "no YAML"), ("- 1", "expected keys"), ("", "expected keys")]
)
def test_unreadable_file_is_named(text: str, word: str, tmp_path: Path):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"study\.yaml: {word}"):
        read_study(tmp_path / "study.yaml")


# What a rule depends on

TRAININGS = {"train_classifier", "train_affinitynet", "train_segmenter"}
NETWORKS = {"score_classifier", "compute_cams", "compute_affinities", "segment", "plot_train_gallery"}
REFINING = {"label_confident", "score_cams"}
WALKING = {"random_walk", "score_affinities", "write_tables"}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"name": "other", "results": "elsewhere", "refined_splits": ["train", "val"]}, set()),
        ({"seed": 1}, TRAININGS),
        ({"precision": "float32"}, TRAININGS | NETWORKS),
        ({"shards": {"train": 5}}, {"prepare_dataset"}),
        ({"dataset": {"size": 96}}, {"prepare_dataset"}),
        ({"classifier": {"learning_rate": 0.3}}, {"train_classifier"}),
        ({"classifier": {"output_stride": 16}}, {"train_classifier", "compute_cams"}),
        ({"cam": {"flip": False}}, {"compute_cams", "write_tables"}),
        ({"cam": {"source": "psa", "folder": "cams"}}, {"import_cams", "write_tables"}),
        ({"confident": {"low_alpha": 5}}, {"label_confident"}),
        (
            {"confident": {"pooling": "scores"}, "affinitynet": {"input_scale": 1}},
            {
                "label_confident",
                "train_affinitynet",
                "compute_affinities",
                "compute_boundary_affinities",
                "score_affinities",
            },
        ),
        ({"affinitynet": {"learning_rate": 0.3}}, {"train_affinitynet"}),
        (
            {"affinitynet": {"radius": 4}},
            {
                "train_affinitynet",
                "compute_affinities",
                "compute_boundary_affinities",
                "score_affinities",
            },
        ),
        ({"affinity": {"flip": True}}, {"compute_affinities"}),
        ({"affinity": {"kind": "boundary", "boundaries": "maps"}}, {"compute_boundary_affinities"}),
        ({"random_walk": {"alpha": 8, "refine": "none"}}, WALKING),
        ({"random_walk": {"beta": 4, "refine": "none"}}, WALKING),
        ({"random_walk": {"tolerance": 1e-3, "refine": "none"}}, WALKING | {"sweep_random_walk"}),
        ({"sweep": {"betas": [3]}}, set()),
        ({"sweep": {"alphas": [3]}}, {"sweep_random_walk"}),
        ({"segmenter": {"epochs": 1}}, {"train_segmenter"}),
        ({"segmentation": {"flip": True}}, {"segment", "plot_train_gallery", "write_tables"}),
        ({"dense_crf": {"iterations": 3}}, REFINING),
        ({"random_walk": {"refine": "dense_crf"}}, WALKING | {"score_cams"}),
    ],
)
def test_a_change_reaches_just_the_rules_that_use_it(change: dict[str, Any], rules: set[str]):
    base = {"random_walk": {"refine": "none"}}
    study, changed = load_study(base), load_study(base | change)
    assert {rule for rule in RULES if section_params(study, rule) != section_params(changed, rule)} == rules


ROAD = ["classifier", "cams", "confident", "affinities", "random_walk", "segmentation"]


@pytest.mark.parametrize(
    ("change", "trained", "skipped"),
    [
        ({}, ["classifier", "affinitynet", "segmenter"], set()),
        (
            {"affinity": {"kind": "boundary", "boundaries": "m"}},
            ["classifier", "segmenter"],
            {"confident"},
        ),
        (
            {
                "cam": {"source": "irn", "folder": "f"},
                "affinitynet": {"weights": "none"},
                "segmenter": {"weights": "none"},
            },
            ["affinitynet", "segmenter"],
            {"classifier"},
        ),
        (
            {"cam": {"source": "irn", "folder": "f"}, "segmenter": {"weights": "none"}},
            ["classifier", "affinitynet", "segmenter"],
            set(),
        ),
        (
            {
                "cam": {"source": "irn", "folder": "f"},
                "affinity": {"kind": "boundary", "boundaries": "m"},
                "segmenter": {"weights": "none"},
            },
            ["segmenter"],
            {"classifier", "confident"},
        ),
    ],
)
def test_a_study_makes_what_it_needs(change: dict[str, Any], trained: list[str], skipped: set[str]):
    study = load_study(change)
    assert study.trained_networks == trained
    assert study.scored_artifacts == [artifact for artifact in ROAD if artifact not in skipped]


def test_every_training_key_is_used_by_its_training():
    for rule in TRAININGS:
        section = rule.removeprefix("train_")
        assert section_params(Study(), rule)[section] == getattr(Study(), section).model_dump(mode="json")


@pytest.mark.parametrize("rule", RULES)
def test_params_survive_json(rule: str):
    params = section_params(Study(), rule)
    assert repr(json.loads(json.dumps(params))) == repr(params)


def test_unknown_rule():
    with pytest.raises(ValueError, match=r"'compute_cam'.*did you mean 'compute_cams'"):
        section_params(Study(), "compute_cam")


@pytest.mark.parametrize(
    ("setting", "idle"),
    [
        ({"confident": {"background": "power"}}, {"confident": {"foreground_threshold": 0.5}}),
        ({"confident": {"background": "constant"}}, {"confident": {"low_alpha": 3}}),
        ({"random_walk": {"normalize": False}}, {"random_walk": {"normalize_by": "image"}}),
    ],
)
def test_keys_without_effect_do_not_count(setting: dict[str, Any], idle: dict[str, Any]):
    (section,) = setting
    both = {section: setting[section] | idle[section]}
    rules = set(RULES) - {"sweep_random_walk"}  # it tries both values of `normalize`
    before, after = load_study(setting), load_study(both)
    assert all(section_params(before, rule) == section_params(after, rule) for rule in rules)


def test_keys_count_where_they_have_an_effect():
    constant, image = {"background": "constant"}, {"normalize": True}
    for section, setting, key, value, rule in (
        ("confident", constant, "foreground_threshold", 0.5, "label_confident"),
        ("random_walk", image, "normalize_by", "image", "random_walk"),
    ):
        before, after = load_study({section: setting}), load_study({section: setting | {key: value}})
        assert section_params(before, rule) != section_params(after, rule)


def test_the_dense_crf_counts_only_where_it_is_used():
    plain = {"confident": {"refine": "none"}, "random_walk": {"refine": "none"}}
    study, changed = load_study(plain), load_study(plain | {"dense_crf": {"iterations": 3}})
    assert all(section_params(study, rule) == section_params(changed, rule) for rule in RULES)
