"""What the screen says when something is wrong: the sentence that helps comes last."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Workflow

pytestmark = pytest.mark.slow

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def said(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run bare snakemake, without any option but these."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run([*SNAKEMAKE, *arguments], cwd=folder, text=True, **pipes)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (
            ["--configfile", "nope.yaml"],
            r"nope\.yaml: no such file \(.*\); --configfile expects the YAML file of a study",
        ),
        (
            ["study.yaml"],
            r"study\.yaml is a study, not a target; what runs it: .*snakemake --configfile study\.yaml",
        ),
        (["--configfile", "study.yaml", "sweep"], r"sweep: .*snakemake sweep --configfile study\.yaml"),
        (["--configfile", "torn.yaml"], r"torn\.yaml:3:1: not valid YAML: .*"),
        (
            ["--configfile", "wrong.yaml"],
            r"  wrong\.yaml:2: classifier\.epoch: unknown key, did you mean 'epochs'\?",
        ),
        (["--config", "seed=x"], r"  seed: got 'x', allowed a whole number >= 0"),
        (["--configfile", "weights.yaml"], r"classifier\.weights: none\.pth: no such file \(.*\)"),
        (["--cores", "0"], r"--cores 0: no job can run; expected a number from 1 on, or all"),
        (["voc_submission"], r"voc_submission needs the test images of VOC 2012, .*"),
        (
            ["predict"],
            r"predict\.images: missing, .*snakemake predict --config 'predict=\{images: photographs\}'",
        ),
        (["check_corrected"], r"check_corrected needs segmenter\.corrected, a folder of corrected masks"),
    ],
    ids=[
        *("missing", "target", "order", "yaml", "key", "value", "weights", "cores", "rule"),
        *("photographs", "corrected"),
    ],
)
def test_a_mistake_is_one_sentence_and_the_last(new_workflow, arguments: list[str], last: str) -> None:
    (new_workflow.folder / "torn.yaml").write_text("name: a\nseed: [1\n")
    (new_workflow.folder / "wrong.yaml").write_text("classifier:\n  epoch: 3\n")
    (new_workflow.folder / "weights.yaml").write_text("classifier: {weights: none.pth}\n")
    status, text = said(new_workflow.folder, *arguments)
    assert status == 1
    assert re.fullmatch(last, text.splitlines()[-1])
    assert "Traceback" not in text
    assert "Error" not in text


@pytest.mark.parametrize("package", ["raise ImportError('another wsss')", ""], ids=["broken", "empty"])
def test_a_clone_runs_its_own_wsss_whatever_is_installed(
    new_workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    installed = tmp_path / "installed" / "wsss"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text(package)
    monkeypatch.setenv("PYTHONPATH", str(installed.parent))
    new_workflow.configure(dataset={"kind": "shapes", "train": 8, "val": 4, "size": 64})
    target = "results/tiny/dataset/manifest.tsv"
    status, text = said(new_workflow.folder, target, "--configfile", "study.yaml")
    assert (status, "another wsss" in text) == (0, False), text


def test_a_workstation_needs_no_options(new_workflow) -> None:
    status, text = said(new_workflow.folder, "--dry-run")
    assert status == 0
    assert "prepare_dataset" in text


@pytest.fixture
def diverging(new_workflow: Workflow) -> Workflow:
    """A study whose classifier has a learning rate at which it must diverge."""
    new_workflow.configure(
        dataset={"kind": "shapes", "train": 8, "val": 4, "size": 64},
        classifier={"optimizer": {"learning_rate": 1e30}},
    )
    return new_workflow


def test_a_job_that_fails_has_the_last_word(diverging) -> None:
    status, text = said(diverging.folder, "--configfile", "study.yaml")
    assert status == 1
    *_, log, last = text.splitlines()
    assert re.fullmatch(
        r"train_classifier: the loss is nan .* Lower classifier\.optimizer\.learning_rate or .*", last
    )
    named = re.fullmatch(r"More in (results/tiny/logs/train_classifier\.log)", log)
    assert named is not None
    assert "Traceback" in (diverging.folder / named[1]).read_text()
    assert "ALARM  classes with few images" in text
    assert "Error in rule" not in text
    assert "message: None" not in text
    assert "RuleException" not in text
    diverging.configure(classifier={"optimizer": {"learning_rate": 0.05}})
    assert "train_classifier" in diverging.planned(), "the folder is not left locked"
