"""Caches of libraries move into the working directory where they cannot be written, and nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsss.study.caches import cache_folders, can_be_written

ROOT = Path(__file__).resolve().parents[2]
MOVED = {"NUMBA_CACHE_DIR", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH", "XDG_CACHE_HOME"}
WEIGHTS = {"TORCH_HOME", "HF_HOME"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_home(folder: Path) -> str:
    """A home in which nobody can write, not even root."""
    (folder / "file").touch()
    return str(folder / "file" / "home")


def test_a_home_that_can_be_written_keeps_its_caches(folder: Path) -> None:
    assert cache_folders({"HOME": str(folder)}) == {}


def test_without_one_they_move_beside_the_results(folder: Path, no_home: str) -> None:
    moved = cache_folders({"HOME": no_home})
    assert moved.keys() == (MOVED | WEIGHTS) - {"NUMBA_CACHE_DIR"}  # that is beside the code, in a clone
    caches = {Path(moved[name]).parent for name in MOVED & moved.keys()}
    assert caches == {folder / ".snakemake" / "caches"}
    assert len({moved[name] for name in moved}) == len(moved)


def test_for_jobs_elsewhere_snakemakes_own_cache_moves(folder: Path, no_home: str) -> None:
    """The others do where the job runs, if they must; numba's stays beside the code, which nodes share."""
    sent = cache_folders({"HOME": str(folder)}, elsewhere=True)
    assert sent.keys() == {"XDG_CACHE_HOME"} | WEIGHTS
    there = cache_folders({**sent, "HOME": no_home})
    assert there.keys() == {"MPLCONFIGDIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"}


def test_weights_are_looked_for_where_they_were(folder: Path, no_home: str) -> None:
    moved = cache_folders({"HOME": no_home})
    assert moved["TORCH_HOME"] == f"{no_home}/.cache/torch"
    assert moved["HF_HOME"] == f"{no_home}/.cache/huggingface"
    with_cache = cache_folders({"HOME": no_home, "XDG_CACHE_HOME": "/shared"}, elsewhere=True)
    assert with_cache["TORCH_HOME"] == "/shared/torch"


def test_what_is_set_stays(no_home: str) -> None:
    assert "MPLCONFIGDIR" not in cache_folders({"HOME": no_home, "MPLCONFIGDIR": "/mine"})
    assert "HF_HOME" not in cache_folders({"HOME": no_home, "HF_HOME": "/mine"}, elsewhere=True)


def test_what_is_not_there_yet_can_be_written_if_its_parent_can(folder: Path) -> None:
    assert can_be_written(folder / "a" / "b")
    assert not can_be_written(folder / "file" / "b") or not (folder / "file").exists()


COMPILES = """
import os, sys
from wsss.study.caches import cache_folders
if sys.argv[1] == "moved":
    os.environ.update(cache_folders())
import wsss.method.upsampling
import matplotlib
print(matplotlib.get_configdir())
"""


@pytest.mark.slow
@pytest.mark.parametrize("caches", ["moved", "left"])
def test_numba_needs_a_place_to_compile_where_nothing_can_be_written(
    folder: Path, no_home: str, caches: str
) -> None:
    """Files in place of the folders beside the code stand for a package that is read-only, for root too."""
    shutil.copytree(ROOT / "wsss", folder / "site" / "wsss", ignore=shutil.ignore_patterns("__pycache__"))
    for package in (folder / "site" / "wsss").rglob("__init__.py"):
        (package.parent / "__pycache__").touch()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "site"), "HOME": no_home}
    done = subprocess.run(
        [sys.executable, "-c", COMPILES, caches], env=environment, text=True, capture_output=True
    )
    if caches == "left":
        assert done.returncode != 0
        assert "no locator available" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(folder / ".snakemake" / "caches" / "mplconfigdir")
