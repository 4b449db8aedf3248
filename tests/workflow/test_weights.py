"""Weights that a study brings along: missing ones, and those of finished networks."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("section", ["classifier", "affinitynet", "segmenter"])
def test_a_missing_file_ends_the_run_before_it_begins(workflow, section: str) -> None:
    shutil.rmtree(workflow.results)
    workflow.configure(**{section: {"weights": "weights/missing.params"}})
    done = subprocess.run(workflow.command(), cwd=workflow.folder, text=True, capture_output=True)
    assert done.returncode != 0
    file = "weights/missing.params"
    assert f"{section}.weights: {file}: no such file ({workflow.folder / file})" in done.stdout + done.stderr
    assert not workflow.results.exists()


def test_finished_networks_give_the_same_masks_without_training(workflow) -> None:
    for network in ("classifier", "affinitynet"):
        shutil.copy(workflow.results / network / "checkpoint.pt", workflow.folder / f"{network}.pth")
        workflow.configure(**{network: {"weights": f"{network}.pth", "epochs": 0}})
    workflow.configure(name="adopted")
    workflow.snakemake("results/adopted/masks/random_walk/train/index.tsv")
    adopted = workflow.folder / "results" / "adopted"
    for network in ("classifier", "affinitynet"):
        assert len((adopted / network / "history.tsv").read_text().splitlines()) == 1
    assert not (adopted / "confident").exists()
    masks = sorted((adopted / "masks" / "random_walk" / "train").glob("*.png"))
    assert len(masks) == 12
    for mask in masks:
        assert mask.read_bytes() == (workflow.results / mask.relative_to(adopted)).read_bytes()
