"""Imports run from the machinery to the method and the study, never back, never in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

STUDY = {"config", "provenance", "code_digest", "shards", "sources", "summary"}
METHOD = {"labels", "cam", "confident", "affinity", "random_walk", "dense_crf", "metrics", "networks"}

LIGHT = {"pydantic", "pydantic_core", "yaml"}
FILES_AND_CONFIG = {
    "pathlib",
    "h5py",
    "PIL",
    "csv",
    "json",
    "yaml",
    "pydantic",
    "shutil",
    "tempfile",
    "logging",
}


def imports(package: Path) -> dict[str, set[str]]:
    """What each module imports, at whatever place; `from a import b` is `a.b` where that is a module."""
    paths = {_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(_targets(name, path, paths)) for name, path in paths.items()}


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _targets(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in modules else module


def layer(module: str) -> int:
    """1 study, 2 method, 3 machinery; the bare package, which imports nothing, is 0."""
    part = module.split(".")[1] if "." in module else None
    return 0 if part is None else 1 if part in STUDY else 2 if part in METHOD else 3


def violations(package: Path) -> list[str]:
    """Every import that goes against the layers."""
    graph = imports(package)
    return [
        f"{module} imports {target}: {why}"
        for module, targets in sorted(graph.items())
        for target in sorted(targets)
        if (why := _why_not(module, target))
    ] + _circles(graph)


def _why_not(module: str, target: str) -> str:
    top = target.partition(".")[0]
    if top == "snakemake":
        return "only workflow scripts see it"
    if top == "wsss":
        allowed = {0: set(), 1: {0, 1}, 2: {0, 2}, 3: {0, 1, 2, 3}}[layer(module)]
        return "" if layer(target) in allowed else "the arrow goes up"
    if layer(module) == 1 and top not in LIGHT | sys.stdlib_module_names:
        return "the Snakefile imports this in every job, it must be light"
    if layer(module) == 2 and top in FILES_AND_CONFIG:
        return "the method knows no file and no configuration"
    if top == "h5py" and not module.startswith("wsss.artifacts"):
        return "only wsss.artifacts opens result files"
    return ""


def _circles(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter({module: targets & graph.keys() for module, targets in graph.items()}).prepare()
    except CycleError as error:
        return [f"circle: {' <- '.join(error.args[1])}"]
    return []


def test_the_package_keeps_its_layers():
    assert violations(ROOT / "wsss") == []


def test_the_study_layer_loads_nothing_heavy():
    heavy = ("torch", "numpy", "scipy", "h5py", "PIL", "snakemake")
    light = "wsss.config, wsss.provenance, wsss.shards, wsss.sources"
    code = f"import sys, {light}; print(sys.modules.keys() & {set(heavy)})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("files", "violation"),
    [
        ({"config.py": "import numpy"}, "wsss.config imports numpy"),
        ({"shards.py": "def f():\n    from wsss.cam import g"}, "wsss.shards imports wsss.cam"),
        ({"cam.py": "from wsss import runtime", "runtime.py": ""}, "wsss.cam imports wsss.runtime"),
        ({"cam.py": "from wsss.config import Cam"}, "wsss.cam imports wsss.config"),
        ({"networks/a.py": "from pathlib import Path"}, "wsss.networks.a imports pathlib"),
        ({"networks/a.py": "from ..training import fit"}, "wsss.networks.a imports wsss.training"),
        ({"figures.py": "import h5py"}, "wsss.figures imports h5py"),
        ({"runtime.py": "import snakemake.script"}, "wsss.runtime imports snakemake.script"),
        ({"cam.py": "from . import metrics", "metrics.py": "import wsss.cam"}, "circle: "),
        (
            {"networks/__init__.py": "from .a import f", "networks/a.py": "from wsss.networks import g"},
            "circle: ",
        ),
    ],
)
def test_violations_are_found(files: dict[str, str], violation: str, tmp_path: Path):
    for name, text in {
        "__init__.py": "",
        "artifacts/a.py": "import h5py, wsss.cam, wsss.config",
        **files,
    }.items():
        path = tmp_path / "wsss" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = violations(tmp_path / "wsss")
    assert len(found) == 1
    assert found[0].startswith(violation)
