"""What the cluster profile asks SLURM for, with programs on PATH that stand in for SLURM's."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("snakemake_executor_plugin_slurm") is None,
        reason="needs the extra `slurm` (snakemake-executor-plugin-slurm)",
    ),
]

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
SQUEUE = """
import os
print(open(os.environ["CALLS"] + ".states").read())
"""


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """An environment in which sbatch runs the job at once and writes down what it was asked."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in {"sbatch": SBATCH, "srun": SRUN, "squeue": SQUEUE}.items():
        (programs / name).write_text(f"#!{sys.executable}\n{code}")
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "CALLS": str(tmp_path / "calls")}


def submitted(cluster: dict[str, str]) -> dict[str, dict[str, str]]:
    """The options of each call of sbatch, by its comment, which names the rule."""
    calls = [json.loads(line) for line in Path(cluster["CALLS"]).read_text().splitlines()]
    return {(options := parsed(call))["--comment"]: options for call in calls}


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


def test_jobs_ask_for_what_their_rules_say(workflow, cluster: dict[str, str]) -> None:
    workflow.snakemake(
        *("--workflow-profile", "profiles/slurm", "--default-resources", "slurm_partition=vision"),
        *("--slurm-no-account", "--slurm-status-command", "squeue"),
        *("--slurm-init-seconds-before-status-checks", "1"),
        *("--forcerun", "train_classifier"),
        "results/tiny/classifier/checkpoint.pt",
        env=cluster,
    )
    training = submitted(cluster)["rule_train_classifier"]
    assert training["--gpus"] == "1"
    assert training["--cpus-per-gpu"] == "8"
    assert training["--mem"] == "16000"
    assert training["-t"] == "1440"
    assert training["-p"] == "vision"
    assert "--requeue" in training


def test_rules_without_a_network_ask_for_no_gpu(workflow, cluster: dict[str, str]) -> None:
    workflow.snakemake(
        *("--workflow-profile", "profiles/slurm", "--default-resources", "slurm_partition=vision"),
        *("--slurm-no-account", "--slurm-status-command", "squeue"),
        *("--slurm-init-seconds-before-status-checks", "1"),
        *("--forcerun", "export_masks"),
        "results/tiny/masks/segmentation/val/index.tsv",
        env=cluster,
    )
    (export,) = submitted(cluster).values()
    assert not any("gpu" in option for option in export)
    assert export["--mem"] == "2000"
    assert (workflow.results / "masks" / "segmentation" / "val" / "index.tsv").exists()
