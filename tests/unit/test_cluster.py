"""What jobs of a cluster ask for, how SLURM is asked about them, and what is no job."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from wsss.study.cluster import LIGHT, VARIABLE, Cluster, asks, light_rules
from wsss.study.config import Study
from wsss.study.params import PARAMS
from wsss.study.slurm import slurm_here, status_query

JOBS = frozenset(
    {
        "check_corrected",
        "choose_random_walk",
        "compute_affinities",
        "compute_cams",
        "compute_segmentation",
        "export_masks",
        "finish_sweep",
        "label_confident",
        "measure_quality",
        "predict_images",
        "prepare_dataset",
        "random_walk",
        "score_affinities",
        "score_cams",
        "score_classifier",
        "sweep_random_walk",
        "train_affinitynet",
        "train_classifier",
        "train_irnet",
        "train_segmenter",
        "write_report",
    }
)
"""Rules that are not light."""

CONFIG = "Configuration data\\nMinJobAge               = {} sec\\nSlurmctldPort = 6817"
DISABLED = "echo Slurm accounting storage is disabled >&2; exit 1"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts programs that stand in for SLURM's on an otherwise empty PATH."""
    status_query.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))

    def place(**programs: str) -> None:
        usual = {"sbatch": "", "squeue": "", "sacct": "", "scontrol": f"printf '{CONFIG.format(300)}'"}
        for name, code in (usual | programs).items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{code}\n")
            (tmp_path / name).chmod(0o755)

    return place


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def refusal(*arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        slurm_here(arguments)
    message = str(caught.value)
    assert message.startswith("profiles/slurm: ")
    assert "\n" not in message
    return message


# How jobs are watched


def test_where_accounts_are_kept_sacct_is_asked(slurm, capsys: pytest.CaptureFixture[str]) -> None:
    slurm()
    assert slurm_here([]) == ("sacct", 40)
    assert not said(capsys)


@pytest.mark.parametrize(("age", "first_check"), [(300, 40), (60, 20)])
def test_without_accounts_squeue_is_asked_soon_enough(
    slurm, capsys: pytest.CaptureFixture[str], age: int, first_check: int
) -> None:
    """The plugin turns to sacct all the same if three of its pauses do not fit into what SLURM remembers."""
    slurm(sacct=DISABLED, scontrol=f"printf '{CONFIG.format(age)}'")
    assert slurm_here([]) == ("squeue", first_check)
    line = said(capsys)
    assert "(sacct: Slurm accounting storage is disabled): jobs are watched with squeue" in line
    assert ("one can be missed" in line) == (age < 180)


def test_sacct_that_is_there_but_has_no_database_is_not_asked(slurm) -> None:
    slurm(sacct="echo Unable to connect to database >&2; exit 1")
    assert slurm_here([]) is not None
    assert slurm_here([]).command == "squeue"


def test_jobs_that_cannot_be_watched_are_refused(slurm) -> None:
    slurm(sacct=DISABLED, scontrol=f"printf '{CONFIG.format(2)}'")
    assert "ended jobs leave squeue after 2 s (MinJobAge)" in refusal()


@pytest.mark.parametrize("program", ["sbatch", "squeue", "sacct", "scontrol"])
def test_a_machine_without_slurm_is_told_so(slurm, tmp_path: Path, program: str) -> None:
    slurm()
    (tmp_path / program).unlink()
    message = refusal("--workflow-profile", "profiles/slurm")
    assert f"{program} is not on PATH" in message
    assert "wsss run, or bare snakemake" in message


def test_a_slurm_that_does_not_answer_is_reported(slurm) -> None:
    slurm(scontrol="echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1")
    assert "SLURM does not answer: Unable to contact slurm controller (connect failure)" in refusal()


@pytest.mark.parametrize("option", ["-n", "--dry-run", "--unlock"])
def test_what_starts_no_job_needs_no_slurm(slurm, option: str) -> None:
    assert slurm_here([option]) is None


# What jobs ask for


@pytest.fixture
def cluster_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cluster]:
    """Leaves the settings of a profile in the environment, as the profile does."""
    monkeypatch.setenv(VARIABLE, "")

    def place(**settings: Any) -> Cluster:
        everything = Cluster().model_dump() | {"unrelated": 1} | settings
        return Cluster.of_profile(everything)

    return place


def amounts(asked: dict[str, Any], attempt: int) -> dict[str, Any]:
    return {name: value(None, attempt=attempt) if callable(value) else value for name, value in asked.items()}


def test_a_workstation_asks_for_nothing_of_slurms(cluster_of) -> None:
    assert amounts(asks(mem_mb=8000, runtime=240, gpu=1), 1) == {"mem_mb": 8000, "runtime": 240, "gpu": 1}
    assert "gpu" not in asks(mem_mb=2000, runtime=30)


def test_a_later_try_asks_for_more_up_to_a_limit(cluster_of) -> None:
    cluster_of(most_memory_mb=20000, most_minutes=1000)
    asked = asks(mem_mb=8000, runtime=240)
    assert [amounts(asked, attempt)["mem_mb"] for attempt in (1, 2, 3)] == [8000, 16000, 20000]
    assert [amounts(asked, attempt)["runtime"] for attempt in (1, 2, 5)] == [240, 480, 1000]


def test_no_try_asks_for_less_than_the_first(cluster_of) -> None:
    cluster_of(most_memory_mb=4000, most_minutes=60)
    assert amounts(asks(mem_mb=16000, runtime=1440), 3) == {"mem_mb": 16000, "runtime": 1440}


def test_only_jobs_with_a_gpu_ask_for_its_type_and_partition(cluster_of) -> None:
    cluster = cluster_of(partition="cpu", gpu_partition="gpu", gpu_type="a100", account=123, constraint="a|b")
    asked = asks(mem_mb=8000, runtime=240, gpu=2)
    assert {"gpu": 2, "gpu_model": "a100", "slurm_partition": "gpu"}.items() <= asked.items()
    assert set(asks(mem_mb=8000, runtime=240)) == {"mem_mb", "runtime"}
    evaluated = {name: eval(value) for name, value in cluster.default_resources.items()}  # as Snakemake does
    assert evaluated == {"slurm_partition": "cpu", "slurm_account": "123", "constraint": "a|b"}


def test_a_cluster_without_gpus_is_asked_for_none(cluster_of) -> None:
    cluster_of(gpus=False, gpu_partition="gpu", gpu_type="a100")
    assert set(asks(mem_mb=8000, runtime=240, gpu=1)) == {"mem_mb", "runtime"}


def test_the_rules_read_what_the_profile_has_left(cluster_of) -> None:
    cluster = cluster_of(tries=2, gpu_type="a100")
    assert Cluster.of_environment() == cluster
    assert json.loads(os.environ[VARIABLE])["gpu_type"] == "a100"


@pytest.mark.parametrize(
    ("setting", "value"), [("tries", 0), ("gpu_type", "a100:2"), ("most_minutes", "a day"), ("gpus", "some")]
)
def test_a_setting_that_is_not_allowed_is_named(cluster_of, setting: str, value: object) -> None:
    with pytest.raises(SystemExit, match=rf"profiles/slurm: {setting}: {value!r}: "):
        cluster_of(**{setting: value})


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        Cluster.model_validate({"gpu_typ": "a100"})


# What is no job


def test_each_rule_is_either_light_or_a_job() -> None:
    assert set(PARAMS) == LIGHT | JOBS
    assert not LIGHT & JOBS


def test_rules_of_later_rounds_are_as_light_as_those_of_the_first() -> None:
    rules = ["plot_scores", "round2_plot_scores", "full_train_segmenter", "random_walk", "score_random_walk"]
    expected = ["plot_scores", "round2_plot_scores", "score_random_walk"]
    assert light_rules(Study(), rules, ["round2_", "full_"]) == expected


@pytest.mark.parametrize("download", [False, True])
def test_what_downloads_runs_where_the_network_is(download: bool) -> None:
    dataset = {"kind": "voc12", "root": "VOC2012", "download": download}
    study = Study.model_validate({"dataset": dataset})
    assert light_rules(study, ["prepare_dataset"], []) == ["prepare_dataset"] * download
