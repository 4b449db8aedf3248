"""The rules as Snakemake reads them: what each has, and what the kinds of a study make of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsss.stages.stand_in import StandInError, read_workflow
from wsss.study.cluster import LIGHT
from wsss.study.invocation import Invocation
from wsss.study.params import PARAMS, rule_params
from wsss.study.reading import workflow_study

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"all", "cams", "masks", "sweep", "predict"}
NETWORK_JOBS = {
    "train_classifier",
    "train_affinitynet",
    "train_irnet",
    "train_segmenter",
    "compute_cams",
    "label_confident",
    "compute_affinities",
    "random_walk",
    "compute_segmentation",
    "predict_images",
    "score_classifier",
    "score_affinities",
}
"""Rules that ask for a GPU: those that run a network, the random walk or the dense CRF on many images."""

FOREIGN: dict[str, Any] = {
    "cams": {"kind": "files", "format": "psa", "folder": "cams"},
    "affinities": {"kind": "boundary", "folder": "boundaries"},
    "segmenter": {"weights": "none"},
}


@pytest.fixture
def rules_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads the rules of a study."""
    monkeypatch.chdir(tmp_path)
    for name in (*Invocation().environment(), "PYTHONPATH"):  # which the Snakefile sets
        monkeypatch.setenv(name, os.environ.get(name, ""))

    def read(**sections: Any) -> dict[str, Any]:
        Path("study.yaml").write_text(yaml.safe_dump({"name": "tiny", **sections}))
        workflow = read_workflow(["study.yaml"])
        return {rule.name: rule for rule in workflow.rules}

    return read


IRN: dict[str, Any] = {"affinities": {"kind": "irn"}}


@pytest.mark.parametrize("sections", [{}, FOREIGN, IRN], ids=["default", "foreign", "irn"])
def test_every_rule_has_params_and_a_script_of_its_name(rules_of, sections: dict[str, Any]) -> None:
    rules = rules_of(**sections)
    assert set(rules) - TARGETS == set(PARAMS)
    study = workflow_study(rules["all"].workflow)
    for name in PARAMS:
        rule = rules[name]
        assert rule.params.script == name
        assert rule.params.config == rule_params(study, name)
        assert f"{name}.py" in rule.params.code
        assert (ROOT / "workflow_scripts" / f"{name}.py").is_file()


def test_every_rule_has_a_log_a_benchmark_an_environment_and_a_message(rules_of) -> None:
    rules = rules_of()
    for name in PARAMS:
        rule = rules[name]
        assert next(str(path) for path in rule.log).startswith(f"results/tiny/logs/{name}")
        assert str(rule.benchmark).startswith(f"results/tiny/benchmarks/{name}")
        assert rule.conda_env
        assert rule.message
        assert rule.docstring


def test_every_artifact_has_a_manifest(rules_of) -> None:
    for name, rule in rules_of().items():
        outputs = {str(path) for path in rule.output}
        unnamed = {path for path in outputs if path.endswith(".json") and Path(path[: -len(".json")]).suffix}
        artifacts = {path.removesuffix(".json") for path in unnamed}
        assert artifacts <= outputs, name
        assert artifacts or name in TARGETS


def test_what_is_light_asks_for_little_and_for_no_gpu(rules_of) -> None:
    """Snakemake knows the light rules, those of later rounds too; `all` and the like are no jobs anyway."""
    rules = rules_of(rounds={"count": 2})
    local = rules["all"].workflow._localrules
    light = {name for name in rules if name.removeprefix("round2_") in LIGHT}
    assert local == light
    assert {"plot_scores", "round2_plot_scores", "round2_check_health"} <= light
    for name in light:
        asked = rules[name].expand_resources({}, [], attempt=1, skip_evaluation={"tmpdir"})
        assert "gpu" not in asked, name
        assert asked["mem_mb"] <= 4000, name
        assert asked["runtime"] <= 120, name


def gpus(rules: dict[str, Any]) -> set[str]:
    return {name for name, rule in rules.items() if "gpu" in rule.resources}


def test_networks_ask_for_a_gpu_and_files_do_not(rules_of) -> None:
    assert gpus(rules_of()) == NETWORK_JOBS
    assert gpus(rules_of(**FOREIGN)) == NETWORK_JOBS - {"compute_cams", "compute_affinities"}


def test_irn_trains_its_network_and_bundles_the_others(rules_of) -> None:
    rules = rules_of(**IRN)
    assert gpus(rules) == NETWORK_JOBS
    bundles = {str(path) for path in rules["all"].input if "/bundle/" in str(path)}
    assert bundles == {f"results/tiny/bundle/{name}/model.json" for name in ("classifier", "segmenter")}
    assert "results/tiny/report/irnet.png" in {str(path) for path in rules["plot_history"].output}
    assert "labels" in dict(rules["plot_train_gallery"].input._get_names())


@pytest.mark.parametrize("splits", [["val"], ["train", "val"]])
def test_the_splits_that_are_segmented_are_exported_and_scored(rules_of, splits: list[str]) -> None:
    rules = rules_of(segmentation={"splits": splits})
    targets = {str(path) for path in rules["all"].input}
    index = "results/tiny/masks/segmentation/{}/index.tsv"
    exported = {split for split in ("train", "val") if index.format(split) in targets}
    assert exported == set(splits)
    names = set(dict(rules["score_segmentation"].input._get_names()))
    assert {name for name in names if name in ("train", "val")} == set(splits)


@pytest.mark.parametrize("sections", [{}, FOREIGN], ids=["default", "foreign"])
def test_no_stage_but_the_scoring_names_a_true_mask(rules_of, sections: dict[str, Any]) -> None:
    """The quality of masks is measured and ranked without any; only what follows may correlate it."""
    rules = rules_of(**sections)
    masked = {name for name, rule in rules.items() if any("truth" in key for key, _ in rule.input.items())}
    assert masked == {
        *(f"score_{artifact}" for artifact in ("cams", "confident", "affinities", "random_walk")),
        *("score_segmentation", "sweep_random_walk", "finish_sweep", "choose_random_walk"),
        *("plot_train_gallery", "plot_val_gallery", "plot_quality", "write_report"),
    }
    assert not {"images", "chosen", "cams"} - set(dict(rules["measure_quality"].input.items()))
    targets = {str(path) for path in rules["all"].input}
    assert {"results/tiny/quality/images.tsv", "results/tiny/quality/classes.tsv"} <= targets


@pytest.mark.parametrize("splits", [["val"], ["train", "val"]])
def test_predictions_are_a_signal_where_train_is_segmented(rules_of, splits: list[str]) -> None:
    rule = rules_of(segmentation={"splits": splits})["measure_quality"]
    assert bool(rule.input.get("predictions")) == ("train" in splits)


CHOSEN = {"background": {"kind": "constant", "score": "auto"}}


@pytest.mark.parametrize(("walk", "chooses"), [({}, False), ({"t": "auto"}, True), (CHOSEN, True)])
def test_a_walk_that_says_auto_waits_for_its_values_and_no_other(rules_of, walk: Any, chooses: bool) -> None:
    rules = rules_of(random_walk=walk)
    for name in ("random_walk", "score_affinities", "write_tables", "measure_quality"):
        assert bool(rules[name].input.get("chosen")) == chooses, name
    targets = {str(path) for path in rules["all"].input}
    assert ("results/tiny/report/sweep.png" in targets) == chooses


def test_an_invalid_configuration_is_one_message_with_the_key(rules_of) -> None:
    with pytest.raises(StandInError, match=r"random_walk\.background\.score"):
        rules_of(random_walk={"background": {"kind": "power", "score": 0.3}})


def test_the_snakefile_is_a_table_of_contents() -> None:
    lines = (ROOT / "Snakefile").read_text().splitlines()
    assert len(lines) <= 105
    included = {line.split('"')[1] for line in lines if line.startswith("include:")}
    inner = {"rules/inner.smk"}  # what it includes, it includes under other names
    assert included == {f"rules/{path.name}" for path in (ROOT / "rules").glob("*.smk")} - inner
