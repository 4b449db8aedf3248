"""What every workflow script does around its work: seed, device, manifests."""

from __future__ import annotations

import json
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards

from wsss.results import replacing
from wsss.runtime.locks import try_lock
from wsss.stages.job import Job, run
from wsss.study.config import Study
from wsss.study.params import ComputeCams, Nothing, TrainClassifier, rule_params
from wsss.study.provenance import ArtifactManifest, file_digest


@pytest.fixture(autouse=True)
def restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore logging and threads, and keep locks apart from those of running jobs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root, threads = logging.getLogger(), torch.get_num_threads()
    handlers, level, terminate = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)
    yield
    logging.captureWarnings(False)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    torch.set_num_threads(threads)
    assert signal.getsignal(signal.SIGTERM) is terminate


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, *uuids: str) -> None:
    current = [0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(uuids))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: current.__setitem__(0, index))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=uuids[index]))


STUDY = Study(seed=3, precision="bfloat16")


def described(folder: Path, rule: str = "compute_cams", **changes: Any) -> Any:
    """The object that Snakemake gives to a script, with `changes`."""
    (folder / "in.tsv").write_text("id\n")
    fields: dict[str, Any] = {
        "rule": rule,
        "input": InputFiles(fromdict={"images": str(folder / "in.tsv")}),
        "output": OutputFiles(
            fromdict={
                "cams": f"{folder}/out.npz",
                "provenance": f"{folder}/out.npz.json",
                "history": f"{folder}/history.tsv",
            }
        ),
        "params": Params(
            fromdict={"script": rule, "config": rule_params(STUDY, rule), "code": {"wsss.method.cam": "ab"}}
        ),
        "log": Log(fromdict={"log": f"{folder}/log.txt"}),
        "wildcards": Wildcards(fromdict={"split": "train", "shard": "03"}),
        "resources": ResourceList(fromdict={"mem_mb": 100}),
        "threads": 1,
    }
    return SimpleNamespace(**(fields | changes))


def manifest_in(folder: Path) -> ArtifactManifest:
    return ArtifactManifest.from_json(json.loads((folder / "out.npz.json").read_text()))


def test_a_job_leaves_a_manifest_for_each_output_that_has_one(tmp_path: Path) -> None:
    job: Job[TrainClassifier] = Job(described(tmp_path, "train_classifier"))
    with job:
        assert job.label == "train_classifier train/03"
        assert (job.seed, job.threads, job.device) == (3, 1, torch.device("cpu"))
        assert torch.initial_seed() == 3
        assert torch.get_num_threads() == 1
        assert not (tmp_path / "out.npz.json").exists()
    assert not (tmp_path / "history.tsv.json").exists()
    assert not (tmp_path / "out.npz.json.json").exists()
    manifest = manifest_in(tmp_path)
    assert manifest.artifact == f"{tmp_path}/out.npz"
    assert (manifest.rule, manifest.config) == ("train_classifier", rule_params(STUDY, "train_classifier"))
    assert manifest.code == {"wsss.method.cam": "ab"}
    assert manifest.inputs == {f"{tmp_path}/in.tsv": file_digest(tmp_path / "in.tsv")}
    assert (manifest.seed, manifest.device) == (3, "cpu")
    assert {"python", "torch", "numpy"} <= set(manifest.versions)
    assert manifest.peak_memory_mb > 1
    assert manifest.created.endswith("+00:00")
    assert "done in" in (tmp_path / "log.txt").read_text()


def test_the_work_gets_the_sections_of_its_study(tmp_path: Path) -> None:
    seen = []

    def main(job: Job[ComputeCams]) -> None:
        seen.append((job.params, job.compute.precision, job.input.images, job.wildcards.shard))

    run(main, described(tmp_path))
    assert seen == [(ComputeCams.of(STUDY), "bfloat16", str(tmp_path / "in.tsv"), "03")]


def test_a_deterministic_job_computes_on_one_thread_whatever_it_has(tmp_path: Path) -> None:
    config = rule_params(Study(deterministic=True), "compute_cams")
    params = Params(fromdict={"script": "compute_cams", "config": config, "code": {}})
    try:
        with Job[ComputeCams](described(tmp_path, params=params, threads=3)) as job:
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
            assert (job.threads, job.compute.deterministic, job.compute.batch_pixels) == (3, True, 0)
            assert torch.get_num_threads() == 1
    finally:
        torch.use_deterministic_algorithms(False)
    manifest = manifest_in(tmp_path)
    assert (manifest.threads, manifest.config["deterministic"]) == (1, True)


def test_the_threads_of_other_jobs_stand_in_their_manifest(tmp_path: Path) -> None:
    with Job[ComputeCams](described(tmp_path, threads=3)) as job:
        assert (torch.get_num_threads(), job.compute.deterministic) == (3, False)
    manifest = manifest_in(tmp_path)
    assert manifest.threads == 3
    assert "deterministic" not in manifest.config


def test_files_that_a_job_says_it_reads_are_inputs_of_its_artifacts(tmp_path: Path) -> None:
    (tmp_path / "foreign.npy").write_bytes(b"1")
    with Job[ComputeCams](described(tmp_path)) as job:
        job.reads([tmp_path / "foreign.npy"])
    paths = [tmp_path / "in.tsv", tmp_path / "foreign.npy"]
    assert manifest_in(tmp_path).inputs == {str(path): file_digest(path) for path in paths}


def test_a_job_without_seed_wildcards_log_and_inputs(tmp_path: Path) -> None:
    changes = {"input": InputFiles(), "log": Log(), "wildcards": Wildcards()}
    with Job[Nothing](described(tmp_path, "plot_scores", **changes)) as job:
        assert (job.seed, job.label) == (0, "plot_scores")
    assert (manifest_in(tmp_path).seed, manifest_in(tmp_path).inputs) == (None, {})


def test_a_job_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    def main(job: Job[ComputeCams]) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        run(main, described(tmp_path))
    assert not (tmp_path / "out.npz.json").exists()
    assert "stopped after" in (tmp_path / "log.txt").read_text()


def test_only_rules_that_ask_for_a_gpu_hold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, "aa")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H9000")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**40)
    with Job[ComputeCams](described(tmp_path)) as job, try_lock("gpu-aa") as free:
        assert free
        assert job.device == torch.device("cpu")
    resources = ResourceList(fromdict={"gpu": 1})
    with Job[ComputeCams](described(tmp_path, resources=resources)) as job, try_lock("gpu-aa") as free:
        assert not free
        assert job.device == torch.device("cuda", 0)
    with try_lock("gpu-aa") as free:
        assert free
    assert manifest_in(tmp_path).device == "H9000"
    assert manifest_in(tmp_path).peak_memory_mb > 2**20


def test_a_training_with_two_gpus_trains_in_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, "aa", "bb", "cc")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H900{device.index}")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 0)
    asked = described(tmp_path, "train_classifier", resources=ResourceList(fromdict={"gpu": 2}), threads=8)
    with Job[TrainClassifier](asked) as job:
        assert job.devices == (torch.device("cuda", 0), torch.device("cuda", 1))
        assert job.compute.processes == 2
        with try_lock("gpu-cc") as free:
            assert free
    assert manifest_in(tmp_path).device == "H9000 and H9001"


def test_a_missing_input_ends_a_job_before_its_work(tmp_path: Path) -> None:
    inputs = InputFiles(fromdict={"images": str(tmp_path / "nowhere.tsv")})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(lambda job: pytest.fail("the work began"), described(tmp_path, input=inputs))


def test_a_job_that_is_terminated_removes_its_temporary_files(tmp_path: Path) -> None:
    def main(job: Job[ComputeCams]) -> None:
        with replacing(tmp_path / "out.npz") as temporary:
            temporary.write_text("half")
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        run(main, described(tmp_path))
    assert ended.value.code == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("**/.*.part"))
    assert not (tmp_path / "out.npz").exists()
    assert "stopped after" in (tmp_path / "log.txt").read_text()
