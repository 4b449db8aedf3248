"""Runs on a machine with two devices, for which the CPU stands in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from wsss.data.shapes import draw_shapes
from wsss.results.checkpoints import load_checkpoint
from wsss.study.config import Shapes

pytestmark = pytest.mark.slow

CHECKPOINT = "results/tiny/classifier/checkpoint.pt"
TWO = ("--set-resources", "train_classifier:gpu=2")

DIES = """

def _save(self, path, state, before=ResumePoint._save):
    before(self, path, state)
    if Path("die").exists():
        Path("die").unlink()
        os.kill(os.getpid(), 9)


ResumePoint._save = _save
"""
"""Has the process that writes the state of a training die after the first one, where a file says so."""


def test_two_processes_train_a_network_of_the_workflow(new_workflow, tmp_path: Path) -> None:
    """As one would; if one dies the other ends too, and the same command ends with the same weights."""
    folder = new_workflow.folder
    images = {"kind": "folder", "root": "photos", "masks": "masks"}
    lists = {"train": "splits/train.txt", "val": "splits/val.txt"}
    new_workflow.configure(dataset={**images, "splits": lists}, classifier={"epochs": 2}, precision="float32")
    draw_shapes(Shapes(train=8, val=4, size=64), folder / "photos")
    resuming = folder / "wsss" / "stages" / "training" / "resume.py"
    at_once = resuming.read_text().replace("SECONDS_BETWEEN_SAVES = 120.0", "SECONDS_BETWEEN_SAVES = 0.0")
    resuming.write_text(at_once + DIES)
    environment = os.environ | {"WSSS_CPU_DEVICES": "2", "TMPDIR": str(tmp_path)}
    result = folder / CHECKPOINT

    new_workflow.snakemake(CHECKPOINT, env=environment)
    alone = load_checkpoint(result)["state_dict"]
    new_workflow.snakemake(CHECKPOINT, "--forcerun", "train_classifier", *TWO, env=environment)
    expected = result.read_bytes()
    assert json.loads(Path(f"{result}.json").read_text())["device"] == "cpu and cpu"
    for name, value in load_checkpoint(result)[
        "state_dict"
    ].items():  # float32, whose rounding training amplifies
        torch.testing.assert_close(value, alone[name], rtol=0, atol=1e-3)

    (folder / "die").touch()
    command = new_workflow.command(CHECKPOINT, "--forcerun", "train_classifier", *TWO)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    died = subprocess.run(command, cwd=folder, env=environment, **pipes)
    assert died.returncode == 1
    assert "train_classifier: the process of rank 0 of 2 was ended by SIGKILL: by hand, or by" in died.stdout
    assert not result.exists()
    assert len(list((result.parent / ".resume").iterdir())) == 1
    new_workflow.snakemake(CHECKPOINT, *TWO, env=environment)
    assert result.read_bytes() == expected
    assert not (result.parent / ".resume").exists()

    shards = [f"results/tiny/cams/val/{shard}.npz" for shard in ("00", "01")]
    new_workflow.snakemake(*shards, env=environment)
    for shard in ("00", "01"):
        log = folder / "results" / "tiny" / "logs" / "compute_cams" / "val" / f"{shard}.log"
        assert "waiting" not in log.read_text()
    said = subprocess.run(command, cwd=folder, env=environment | {"WSSS_CPU_DEVICES": "1"}, **pipes).stdout
    assert "resources.gpu: got 2, but PyTorch sees 1 devices by WSSS_CPU_DEVICES" in said
