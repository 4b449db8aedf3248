"""The three lists of dependencies agree: pyproject.toml, envs/pins.txt and envs/wsss.yaml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
OUTSIDE_SCRIPTS = {"snakemake", "pygments", "typer", "rich"}
"""Needed to start the workflow or at the command line, but by no script."""


def bounds(requirements: list[str]) -> dict[str, Requirement]:
    parsed = map(Requirement, requirements)
    return {canonicalize_name(found.name): found for found in parsed if found.name != PROJECT["name"]}


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    lines = (ROOT / "envs" / "pins.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    names = ("slurm", "coco", "onnx", "tensorboard", "docs", "dev")
    extras = [line for name in names for line in EXTRAS[name]]
    wanted = bounds([*PROJECT["dependencies"], *extras])
    assert {canonicalize_name(name) for name in pins} == set(wanted)
    for name, pin in pins.items():
        assert pin in wanted[canonicalize_name(name)].specifier, name


def test_the_conda_environment_has_what_scripts_import() -> None:
    listed = yaml.safe_load((ROOT / "envs" / "wsss.yaml").read_text("utf-8"))["dependencies"]
    conda = {name: bound for name, bound in (line.split() for line in listed) if name != "python"}
    wanted = bounds([*PROJECT["dependencies"], *EXTRAS["coco"]])
    assert conda == {
        CONDA_NAMES.get(name, name): str(found.specifier)
        for name, found in wanted.items()
        if name not in OUTSIDE_SCRIPTS
    }


def test_the_command_is_installed() -> None:
    assert PROJECT["scripts"] == {"wsss": "wsss.__main__:main"}
