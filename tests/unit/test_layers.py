"""The contracts of import-linter in pyproject.toml: this package keeps them, and they find violations."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "study",
    "method",
    "runtime",
    "results",
    "models",
    "data",
    "stages",
    "report",
    "planning",
    "commands",
)


def lint(folder: Path) -> tuple[bool, str]:
    """Check the package in a folder; return whether it keeps the contracts, and the report."""
    code = "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": "", "COLUMNS": "200"},
    )
    return done.returncode == 0, done.stdout


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A package of empty modules under the contracts of this one."""
    for folder in ("", *PACKAGES):
        (tmp_path / "wsss" / folder).mkdir()
        (tmp_path / "wsss" / folder / "__init__.py").touch()
    loose = ("__main__", "public", "report/summary", "report/failure", "planning/start", "stages/stand_in")
    for module in loose:
        (tmp_path / "wsss" / f"{module}.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_this_package_keeps_its_contracts() -> None:
    kept, report = lint(ROOT)
    assert kept, report


def test_an_empty_package_keeps_them(tiny: Path) -> None:
    kept, report = lint(tiny)
    assert kept, report


@pytest.mark.parametrize(
    ("module", "statement", "reported"),
    [
        ("method/cam", "import wsss.results", "wsss.method is not allowed to import wsss.results"),
        ("method/cam", "from wsss.study import config", "wsss.method is not allowed to import wsss.study"),
        ("study/config", "import wsss.method", "wsss.study is not allowed to import wsss.method"),
        ("runtime/locks", "import wsss.results", "wsss.runtime is not allowed to import wsss.results"),
        ("results/files", "import wsss.data", "wsss.results is not allowed to import wsss.data"),
        ("data/coco", "import wsss.models", "wsss.data is not allowed to import wsss.models"),
        ("models/vgg", "import wsss.data", "wsss.models is not allowed to import wsss.data"),
        ("stages/cams", "import wsss.report", "wsss.stages is not allowed to import wsss.report"),
        ("report/page", "import wsss.stages", "wsss.report is not allowed to import wsss.stages"),
        (
            "report/page",
            "def draw():\n    import wsss.stages",
            "wsss.report is not allowed to import wsss.stages",
        ),
        ("stages/cams", "import wsss.commands", "wsss.stages is not allowed to import wsss.commands"),
        ("commands/run", "import wsss.__main__", "wsss.commands is not allowed to import wsss.__main__"),
        ("stages/cams", "import wsss.__main__", "wsss.stages is not allowed to import wsss.__main__"),
        ("study/config", "import torch", "wsss.study is not allowed to import torch"),
        ("study/config", "import numpy.typing", "wsss.study is not allowed to import numpy"),
        ("method/cam", "from PIL import Image", "wsss.method is not allowed to import PIL"),
        ("method/cam", "import yaml", "wsss.method is not allowed to import yaml"),
        ("stages/cams", "import h5py", "wsss.stages is not allowed to import h5py"),
        ("stages/cams", "from snakemake.script import Snakemake", "wsss is not allowed to import snakemake"),
        ("report/summary", "from torch import nn", "wsss.report.summary is not allowed to import torch"),
        ("extra", "x = 1", "extra"),
    ],
)
def test_a_forbidden_import_is_found(tiny: Path, module: str, statement: str, reported: str) -> None:
    (tiny / "wsss" / f"{module}.py").write_text(f"{statement}\n")
    kept, report = lint(tiny)
    assert not kept
    assert reported in report


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("commands/run", "import wsss.stages, wsss.report, wsss.data"),
        ("stages/cams", "import wsss.models, wsss.data, wsss.method, wsss.study"),
        ("report/page", "import wsss.data, wsss.results"),
        ("models/vgg", "import wsss.study, torch"),
        ("results/hdf5", "import h5py"),
        ("stages/stand_in", "from snakemake.iocontainers import Params"),
    ],
)
def test_imports_downwards_are_allowed(tiny: Path, module: str, statement: str) -> None:
    (tiny / "wsss" / f"{module}.py").write_text(f"{statement}\n")
    kept, report = lint(tiny)
    assert kept, report


def test_a_cycle_between_siblings_is_found(tiny: Path) -> None:
    (tiny / "wsss" / "data" / "one.py").write_text("import wsss.data.other\n")
    (tiny / "wsss" / "data" / "other.py").write_text("import wsss.data.one\n")
    kept, report = lint(tiny)
    assert not kept
    assert "form no cycle BROKEN" in report
