"""`envs/lock.txt` and `envs/wsss.def`: versions that fit, and a container with all that a wheel needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = (ROOT / "envs" / "wsss.def").read_text("utf-8")
SHELL = ("post", "environment", "test", "runscript")
EXTRAS = ("run", "slurm", "coco", "onnx")
"""Parts of pins.txt that are locked."""


def versions(name: str) -> dict[str, str]:
    lines = (ROOT / "envs" / name).read_text("utf-8").splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in found.items()}


def pinned() -> dict[str, str]:
    parts = re.split(r"^# (\w+)$", (ROOT / "envs" / "pins.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]
    lines = "\n".join(text for part, text in zip(parts[::2], parts[1::2], strict=True) if part in EXTRAS)
    return {canonicalize_name(name): version for name, version in re.findall(r"^(\S+)==(\S+)$", lines, re.M)}


def sections() -> dict[str, str]:
    parts = re.split(r"^%(\w+)$", DEFINITION, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# The lock


def test_the_lock_holds_what_is_pinned() -> None:
    locked, wanted = versions("lock.txt"), pinned()
    assert len(wanted) > 25
    assert {name: locked.get(name) for name in wanted} == wanted


def test_the_lock_holds_one_version_of_each_in_order() -> None:
    names = [
        line.partition("==")[0]
        for line in (ROOT / "envs" / "lock.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert names == sorted(set(names))
    assert all(Version(version).local is None for version in versions("lock.txt").values())


def test_what_a_locked_package_needs_is_locked_in_a_version_that_fits() -> None:
    """Of those that are installed here in the locked version; other versions may need other packages."""
    locked, checked = versions("lock.txt"), 0
    for name, version in locked.items():
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue
        if there.version.partition("+")[0] != version:
            continue
        checked += 1
        for text in there.requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                found = locked.get(canonicalize_name(needed.name))
                assert found is not None, f"{name} needs {needed}"
                assert needed.specifier.contains(found, prereleases=True), f"{name} needs {needed}"
    if not checked:
        pytest.skip("no locked version is installed here")


# The container


@pytest.mark.parametrize("section", SHELL)
def test_a_shell_reads_the_sections(section: str) -> None:
    done = subprocess.run(["sh", "-n"], input=sections()[section], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_it_starts_from_the_python_of_the_lock() -> None:
    assert re.match(r"#.*\nBootstrap: docker\nFrom: python:3\.11-slim-\w+\n", DEFINITION)
    assert "Python 3.11" in (ROOT / "envs" / "lock.txt").read_text("utf-8")
    assert set(sections()) == {"files", *SHELL, "help"}


@pytest.mark.slow
def test_what_it_copies_is_enough_for_a_wheel(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    for line in sections()["files"].split("\n"):
        if words := line.split():
            source, target = words
            assert target == f"/opt/source/{source}"
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
            (tmp_path / "source").mkdir(exist_ok=True)
            copy(ROOT / source, tmp_path / "source" / source)
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    wheel = [sys.executable, "-m", "pip", "wheel", str(tmp_path / "source"), *options]
    subprocess.run(wheel, check=True, capture_output=True, cwd=tmp_path)
    with ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        names = set(archive.namelist())
    assert {"wsss/workflow/Snakefile", "wsss/workflow/profiles/slurm/profile.yaml"} <= names


@pytest.mark.slow
def test_its_own_test_passes_where_wsss_is_installed() -> None:
    """It is run here, because the container itself is not built by the tests."""
    programs = Path(sys.executable).parent
    if not (programs / "wsss").exists():
        pytest.skip("the command `wsss` is not installed beside this Python")
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh"], input=sections()["test"], env=environment, text=True, capture_output=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
