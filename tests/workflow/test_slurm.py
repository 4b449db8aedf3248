"""What the cluster profile asks SLURM for, with programs on PATH that stand in for SLURM's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.slurm_cluster import NEEDS_PLUGIN

pytestmark = [pytest.mark.slow, NEEDS_PLUGIN]

SBATCH = """
import json, os, subprocess, sys
calls = os.environ["CALLS"]
with open(calls, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
job = str(len(open(calls).readlines()))
command = next(a.removeprefix("--wrap=") for a in sys.argv if a.startswith("--wrap="))
log = sys.argv[sys.argv.index("--output") + 1].replace("%j", job)
with open(log, "w") as file:
    environment = {**os.environ, "SLURM_JOB_ID": job}
    code = subprocess.run(command, shell=True, env=environment, stdout=file, stderr=file).returncode
with open(calls + ".states", "a") as file:
    file.write(job + "|" + ("FAILED" if code else "COMPLETED") + "\\n")
print(job)
"""
SRUN = """
import os, sys
command = sys.argv[1:]
while command[0].startswith("-"):
    command.pop(0)
os.execvp(command[0], command)
"""
SACCT = """
import os, sys
asks_for_account = any("Account" in word for word in sys.argv)
print("none" if asks_for_account else open(os.environ["CALLS"] + ".states").read())
"""
SCONTROL = """
print("MinJobAge = 300 sec")
"""
PROGRAMS = {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scontrol": SCONTROL, "squeue": ""}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """An environment in which sbatch runs the job at once and writes down what it was asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in PROGRAMS.items():
        (programs / name).write_text(f"#!{sys.executable}\n{code}")
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "CALLS": str(tmp_path / "calls")}


def parsed(call: list[str]) -> dict[str, str]:
    """Options `--name=value`, `--name value`, `-n value` and `--flag` of a command line."""
    options: dict[str, str] = {}
    name = ""
    for word in call:
        if word.startswith("-"):
            name, _, value = word.partition("=")
            options[name] = value
        else:
            options[name] = word
    return options


def submit(workflow, cluster: dict[str, str], rule: str, target: str) -> dict[str, str]:
    """Have SLURM run one job, and return what it was asked for."""
    workflow.snakemake(
        target,
        *("--workflow-profile", "profiles/slurm", "--default-resources", "slurm_partition=vision"),
        *("--max-threads", "8"),
        *("--slurm-status-command", "sacct", "--slurm-init-seconds-before-status-checks", "1"),
        *("--forcerun", rule),
        env=cluster,
    )
    (call,) = Path(cluster["CALLS"]).read_text().splitlines()
    return parsed(json.loads(call))


def test_a_training_asks_for_a_gpu(workflow, cluster: dict[str, str]) -> None:
    checkpoint = "results/tiny/classifier/checkpoint.pt"
    asked = submit(workflow, cluster, "train_classifier", checkpoint)
    assert asked["--comment"] == "rule_train_classifier"
    assert asked["--gpus"] == "1"
    cpus = asked.get("--cpus-per-task") or asked.get("--cpus-per-gpu")  # depends on the plugin
    assert cpus == "2"  # eight threads, of which `--cores 2` leaves two
    assert asked["--mem"] == "16000"
    assert asked["-t"] == "1440"
    assert asked["-p"] == "vision"
    assert "--requeue" in asked


def test_a_rule_without_a_network_asks_for_none(workflow, cluster: dict[str, str]) -> None:
    before = workflow.newest()
    index = "masks/segmentation/val/index.tsv"
    asked = submit(workflow, cluster, "export_masks", f"results/tiny/{index}")
    assert not any("gpu" in option for option in asked)
    assert asked["--mem"] == "2000"
    assert index in workflow.written_since(before)


def test_without_its_weights_a_run_ends_before_its_first_job(
    new_workflow, cluster: dict[str, str], tmp_path: Path
) -> None:
    torn = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    new_workflow.configure(
        dataset={"kind": "shapes", "train": 4, "val": 2, "size": 64},
        segmenter={"backbone": "resnet18", "weights": "imagenet"},
    )
    done = subprocess.run(
        new_workflow.command("--workflow-profile", "profiles/slurm"),
        cwd=new_workflow.folder,
        env={**cluster, "TORCH_HOME": str(tmp_path / "torch")},
        text=True,
        capture_output=True,
    )
    assert done.returncode != 0
    assert f"weights: {torn}: not a readable file of tensors" in done.stdout + done.stderr
    assert not Path(cluster["CALLS"]).exists()
    assert not list(new_workflow.folder.glob(".snakemake/locks/*"))
