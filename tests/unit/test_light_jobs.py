"""Jobs that compute with no tensor start without PyTorch, which takes longer to load than they work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIGHT = (
    "check_corrected",
    "check_health",
    "export_masks",
    "gather_health",
    "plot_history",
    "plot_quality",
    "plot_scores",
    "plot_sweep",
    "plot_train_gallery",
    "plot_val_gallery",
    "prepare_dataset",
    "rank_quality",
    "rank_sweep",
    "score_quality",
    "voc_submission",
    "write_report",
    "write_tables",
)


@pytest.mark.parametrize("script", LIGHT)
def test_a_light_job_does_not_load_pytorch(script: str) -> None:
    """Runs a script up to where Snakemake's job would begin, in a process of its own."""
    run = f"import runpy, sys; runpy.run_path('workflow_scripts/{script}.py'); print('torch' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", run], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert loaded.stdout.strip() == "False"
