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
from wsss.stages.job import Stage
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


def job(folder: Path, **changes: Any) -> Any:
    """The object that Snakemake gives to the script of `compute_cams`, with `changes`."""
    (folder / "in.tsv").write_text("id\n")
    fields: dict[str, Any] = {
        "rule": "compute_cams",
        "input": InputFiles(fromdict={"images": str(folder / "in.tsv")}),
        "output": OutputFiles(
            fromdict={
                "cams": f"{folder}/out.npz",
                "provenance": f"{folder}/out.npz.json",
                "history": f"{folder}/history.tsv",
            }
        ),
        "params": Params(fromdict={"config": {"alpha": 4, "seed": 3}, "code": {"wsss.method.cam": "ab"}}),
        "log": Log(fromdict={"log": f"{folder}/log.txt"}),
        "wildcards": Wildcards(fromdict={"split": "train", "shard": "03"}),
        "resources": ResourceList(fromdict={"mem_mb": 100}),
        "threads": 1,
    }
    return SimpleNamespace(**(fields | changes))


def test_a_stage_leaves_a_manifest_for_each_output_that_has_one(tmp_path: Path) -> None:
    with Stage(job(tmp_path)) as stage:
        assert stage.label == "compute_cams train/03"
        assert stage.config == {"alpha": 4, "seed": 3}
        assert (stage.seed, stage.threads, stage.device) == (3, 1, torch.device("cpu"))
        assert torch.initial_seed() == 3
        assert torch.get_num_threads() == 1
        assert not (tmp_path / "out.npz.json").exists()
    assert not (tmp_path / "history.tsv.json").exists()
    assert not (tmp_path / "out.npz.json.json").exists()
    manifest = ArtifactManifest.from_json(json.loads((tmp_path / "out.npz.json").read_text()))
    assert manifest.artifact == f"{tmp_path}/out.npz"
    assert (manifest.rule, manifest.config) == ("compute_cams", {"alpha": 4, "seed": 3})
    assert manifest.code == {"wsss.method.cam": "ab"}
    assert manifest.inputs == {f"{tmp_path}/in.tsv": file_digest(tmp_path / "in.tsv")}
    assert (manifest.seed, manifest.device) == (3, "cpu")
    assert {"python", "torch", "numpy"} <= set(manifest.versions)
    assert manifest.peak_memory_mb > 1
    assert manifest.created.endswith("+00:00")
    assert "done in" in (tmp_path / "log.txt").read_text()


def test_a_stage_counts_files_that_it_says_it_reads(tmp_path: Path) -> None:
    (tmp_path / "foreign.npy").write_bytes(b"1")
    with Stage(job(tmp_path)) as stage:
        stage.reads([tmp_path / "foreign.npy"])
    manifest = json.loads((tmp_path / "out.npz.json").read_text())
    paths = [tmp_path / "in.tsv", tmp_path / "foreign.npy"]
    assert manifest["inputs"] == {str(path): file_digest(path) for path in paths}


def test_a_stage_without_seed_wildcards_log_and_inputs(tmp_path: Path) -> None:
    changes = {"input": InputFiles(), "log": Log(), "wildcards": Wildcards()}
    params = Params(fromdict={"config": {}, "code": {}})
    with Stage(job(tmp_path, params=params, **changes)) as stage:
        assert (stage.seed, stage.label) == (0, "compute_cams")
    manifest = json.loads((tmp_path / "out.npz.json").read_text())
    assert (manifest["seed"], manifest["inputs"]) == (None, {})


def test_a_stage_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no"), Stage(job(tmp_path)):
        raise RuntimeError("no")
    assert not (tmp_path / "out.npz.json").exists()
    assert "stopped after" in (tmp_path / "log.txt").read_text()


def test_only_rules_that_ask_for_a_gpu_hold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, "aa")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H9000")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 2**40)
    with Stage(job(tmp_path)) as stage, try_lock("gpu-aa") as free:
        assert free
        assert stage.device == torch.device("cpu")
    resources = ResourceList(fromdict={"gpu": 1})
    with Stage(job(tmp_path, resources=resources)) as stage, try_lock("gpu-aa") as free:
        assert not free
        assert stage.device == torch.device("cuda", 0)
    with try_lock("gpu-aa") as free:
        assert free
    manifest = json.loads((tmp_path / "out.npz.json").read_text())
    assert manifest["device"] == "H9000"
    assert manifest["peak_memory_mb"] > 2**20


def test_a_missing_input_ends_a_stage_before_its_work(tmp_path: Path) -> None:
    inputs = InputFiles(fromdict={"images": str(tmp_path / "nowhere.tsv")})
    with pytest.raises(FileNotFoundError, match="nowhere"), Stage(job(tmp_path, input=inputs)):
        pytest.fail("the work began")


def test_a_stage_that_is_terminated_removes_its_temporary_files(tmp_path: Path) -> None:

    def work() -> None:
        with Stage(job(tmp_path)), replacing(tmp_path / "out.npz") as temporary:
            temporary.write_text("half")
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        work()
    assert ended.value.code == 128 + signal.SIGTERM
    assert not list(tmp_path.glob("**/.*.part"))
    assert not (tmp_path / "out.npz").exists()
    assert "stopped after" in (tmp_path / "log.txt").read_text()
