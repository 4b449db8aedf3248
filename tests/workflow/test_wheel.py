"""The wheel holds the workflow: with it and photographs, an empty folder is enough.

`make release` has these tests try what it built, whose folder is in `WSSS_DIST`; else they build it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

from wsss.data.shapes import draw_shapes
from wsss.study.config import Shapes

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = (
    "Snakefile",
    "config.yaml",
    "rules",
    "workflow_scripts",
    "profiles",
    "studies",
    "schemas",
    "envs",
    "report",
)

pytestmark = pytest.mark.slow


def said(command: list[str], folder: Path, **environment: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist."""
    if folder := os.environ.get("WSSS_DIST"):
        return Path(folder)
    pytest.importorskip("hatchling")
    target = tmp_path_factory.mktemp("built")
    said([sys.executable, "-m", "hatchling", "build", "-d", str(target)], ROOT)
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the wheel, for PYTHONPATH."""
    target = tmp_path_factory.mktemp("installed")
    line = ["install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    said([sys.executable, "-m", "pip", *line], target)
    return target


def test_the_workflow_is_in_the_wheel_as_in_the_repository(wheel: Path) -> None:
    inside = {name for name in ZipFile(wheel).namelist() if name.startswith("wsss/workflow/")}
    listed = subprocess.run(
        ["git", "ls-files", *WORKFLOW], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert inside == {f"wsss/workflow/{name}" for name in listed.stdout.split()}


def test_the_sdist_has_what_the_wheel_and_the_tests_are_made_of(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(
        ["git", "ls-files", *WORKFLOW, "wsss", "docs", "tests"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    )
    assert set(listed.stdout.split()) - inside == set()
    assert not {name for name in inside if name.startswith(("results/", "docs/_build/"))}


def test_a_study_of_photographs_is_made_and_planned_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    draw_shapes(Shapes(train=12, val=4, size=64), tmp_path / "drawn")
    (tmp_path / "drawn" / "images").rename(tmp_path / "my photos")
    (tmp_path / "drawn" / "labels.csv").rename(tmp_path / "my photos" / "labels.csv")
    folder = tmp_path / "empty"
    folder.mkdir()
    wsss = [sys.executable, "-m", "wsss"]
    made = said([*wsss, "init", "../my photos"], folder, PYTHONPATH=str(installed))
    assert "16 images with labels of 5 classes" in made
    planned = said([*wsss, "run", "--dry-run"], folder, PYTHONPATH=str(installed))
    assert f"--snakefile {installed}/wsss/workflow/Snakefile" in planned
    assert "prepare_dataset" in planned
    assert "results/my_photos/dataset/manifest.tsv" in planned


def test_the_data_is_checked_and_the_jobs_have_the_scripts_of_the_wheel(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(
        "name: drawn\ndataset: {kind: shapes, train: 12, val: 6, size: 64}\n"
    )
    checked = said([sys.executable, "-m", "wsss", "check"], tmp_path, PYTHONPATH=str(installed))
    assert "train_segmenter" in checked
    assert (tmp_path / "results" / "drawn" / "dataset" / "manifest.tsv").is_file()
    verified = said([sys.executable, "-m", "wsss", "verify"], tmp_path, PYTHONPATH=str(installed))
    assert "up to date" in verified
