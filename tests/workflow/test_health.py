"""Runs that are broken on purpose raise their alarm, and what the alarm says to run does run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "a learning rate of nothing": (
        {"segmenter": {"epochs": 7, "optimizer": {"learning_rate": 1e-9}}},
        "segmentation",
        "segmenter-loss",
    ),
    "a walk without end or background": (
        {
            "random_walk": {
                "t": 20000,
                "beta": 0.1,
                "background": {"kind": "constant", "score": 0.0},
                "refine": "none",
            }
        },
        "random_walk",
        "walk-forgets",
    ),
    "a background that takes everything": (
        {"random_walk": {"background": {"kind": "constant", "score": 1.0}, "refine": "none"}},
        "random_walk",
        "labels-vanish",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_run_is_heard(workflow, name: str) -> None:
    sections, part, alarm = BROKEN[name]
    workflow.configure(**sections)
    said = workflow.snakemake(f"results/tiny/health/{part}.json")
    health = json.loads((workflow.results / "health" / f"{part}.json").read_text())
    (finding,) = [finding for finding in health["findings"] if finding["alarm"] == alarm]
    assert finding["severity"] == "alarm"
    assert f"check_health {part}: ALARM: {finding['title']}: {finding['figure']}" in said


def test_what_is_printed_runs_as_printed(finished, tmp_path: Path) -> None:
    health = json.loads((finished.results / "health.json").read_text())
    said = (finished.folder / "said.txt").read_text()
    texts = [text for finding in health["findings"] for text in finding["help"]]
    spans = {span for text in texts for span in re.findall(r"`([^`]+)`", text)}
    commands = {span for span in spans if re.match(r"\S*snakemake ", span)}
    commands |= set(re.findall(r"\((\S*snakemake .*) writes it\)", said))
    assert len(commands) >= 2
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(finished.folder)}
    for command in commands:
        program = [*shlex.split(command), "--dry-run"]
        done = subprocess.run(program, cwd=finished.folder, env=env, text=True, capture_output=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    files = [Path(span) for span in spans if span.startswith("results/")]
    assert [file for file in files if not (finished.folder / file).exists()] == []
