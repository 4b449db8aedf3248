"""The workflow with IRNet in AffinityNet's place: what it makes, and what a changed key reruns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import READERS
from wsss.models.irnet import restore_irnet
from wsss.results import read_affinities, read_history

pytestmark = pytest.mark.slow

IRN: dict[str, Any] = {
    "affinities": {"kind": "irn", "flip": True},
    "irnet": {
        "epochs": 2,
        "batch_size": 4,
        "crop_size": 80,
        "displacement": True,
        "train_on": {"kind": "features"},
    },
}
AFTER_SEGMENTER = {"compute_segmentation", "score_segmentation", "export_masks", "bundle_segmenter"}
AFTER_AFFINITIES = {
    "score_affinities",
    "random_walk",
    "score_random_walk",
    "measure_quality",
    "rank_quality",
    "score_quality",
    "train_segmenter",
    *AFTER_SEGMENTER,
}
CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "irnet.epochs": ({"irnet": {"epochs": 3}}, {"train_irnet", "compute_affinities", *AFTER_AFFINITIES}),
    "affinities.flip": ({"affinities": {"flip": False}}, {"compute_affinities", *AFTER_AFFINITIES}),
    "affinitynet": ({"affinitynet": {"epochs": 3, "radius": 4, "weights": "missing.pth"}}, set()),
}


def planned(workflow: Any) -> set[str]:
    """The rules that would run, but for those that show or judge results."""
    return {rule for rule in workflow.planned() if not rule.startswith(READERS)}


@pytest.fixture(scope="module")
def irn(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run whose affinities come from IRNet, after one whose affinities came from AffinityNet."""
    folder = tmp_path_factory.mktemp("irn") / "workflow"
    workflow = type(finished)(shutil.copytree(finished.folder, folder))
    shutil.rmtree(workflow.results / "affinitynet")
    workflow.configure(**IRN)
    before = planned(workflow)
    assert before == {"train_irnet", "compute_affinities", *AFTER_AFFINITIES}
    (folder / "said.txt").write_text(workflow.snakemake())
    return workflow


def test_irnet_is_trained_and_affinitynet_is_not(irn: Any) -> None:
    assert not (irn.results / "affinitynet").exists()
    section = restore_irnet(irn.results / "irnet" / "checkpoint.pt").section
    assert (section.epochs, section.train_on.kind) == (2, "features")
    history = read_history(irn.results / "irnet" / "history.tsv")
    assert {"different", "displacement_foreground", "displacement_background"} <= history.keys()
    manifest = json.loads((irn.results / "irnet" / "checkpoint.pt.json").read_text())
    assert manifest["config"]["irnet"]["epochs"] == 2
    assert planned(irn) == set()


def test_affinities_come_with_their_boundary(irn: Any) -> None:
    with read_affinities(irn.results / "affinities" / "train" / "00.h5") as affinities:
        for name, stencil in affinities.items():
            boundary = affinities.boundary(name)
            assert boundary is not None
            assert stencil.shape[1:] == boundary.shape
            assert 0 <= boundary.min() < boundary.max() <= 1


def test_report_health_and_summary_know_irnet(irn: Any) -> None:
    assert (irn.results / "report" / "irnet.png").stat().st_size > 0
    health = json.loads((irn.results / "health" / "random_walk.json").read_text())
    assert "irnet-steps" in json.dumps(health)
    assert "pseudo mask" in (irn.folder / "said.txt").read_text()
    assert {path.name for path in (irn.results / "bundle").iterdir()} >= {"classifier", "segmenter"}
    assert not (irn.results / "bundle" / "irnet").exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_key_reruns_what_depends_on_it(irn: Any, tmp_path: Path, change: str) -> None:
    sections, expected = CHANGES[change]
    workflow = type(irn)(shutil.copytree(irn.folder, tmp_path / "workflow"))
    workflow.configure(**sections)
    assert planned(workflow) == expected


def test_keys_of_irnet_rerun_nothing_where_affinitynet_is_trained(workflow: Any) -> None:
    workflow.configure(irnet={"epochs": 3, "backbone": "resnet18", "weights": "missing.pth"})
    assert workflow.planned() == set()
