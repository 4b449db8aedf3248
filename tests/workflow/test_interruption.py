"""A run that is cut off in the middle of a training, and what the next run makes of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HALF_A_TRAINING = """
import signal, sys
from pathlib import Path
Path(snakemake.output.checkpoint).write_text("half a checkpoint")
print("in the middle", file=sys.stderr, flush=True)
signal.pause()
"""


def cut_off(workflow, signal_number: int) -> None:
    """Start the training anew and interrupt it when its output is half written."""
    script: Path = workflow.folder / "workflow_scripts" / "train_classifier.py"
    whole = script.read_text()
    script.write_text(HALF_A_TRAINING)
    run = workflow.start("--forcerun", "train_classifier")
    assert any("in the middle" in line for line in run.stdout)
    os.killpg(run.pid, signal_number)
    run.communicate()
    script.write_text(whole)


def test_after_ctrl_c_the_same_command_goes_on(workflow) -> None:
    checkpoint = workflow.results / "classifier" / "checkpoint.pt"
    expected = checkpoint.read_bytes()
    cut_off(workflow, signal.SIGINT)  # Snakemake may or may not get to removing the half file
    workflow.snakemake("results/tiny/classifier/checkpoint.pt")
    assert checkpoint.read_bytes() == expected


def test_after_a_kill_half_a_file_is_not_taken_for_a_whole_one(workflow) -> None:
    cut_off(workflow, signal.SIGKILL)
    workflow.snakemake("--unlock")
    assert "train_classifier" in workflow.planned()
