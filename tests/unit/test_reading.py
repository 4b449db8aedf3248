"""The study of a run of Snakemake, from config.yaml and the command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wsss.study.config import ConfigError, ConstantBackground, Study
from wsss.study.reading import check_places, workflow_study


def workflow(folder: Path, *overlays: Path, config: Any = None, replace: bool = False) -> Any:
    """What the Snakefile knows as `workflow`."""
    settings = SimpleNamespace(
        configfiles=list(overlays), config=config or {}, replace_workflow_config=replace
    )
    return SimpleNamespace(basedir=str(folder), configfiles=list(overlays), config_settings=settings)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Snakefile, beside which Snakemake runs elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "config.yaml").write_text(
        "name: base\nrandom_walk: {background: {kind: power, alpha: 4}, t: 8}\n"
    )
    return tmp_path


def overlay(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_an_overlay_of_another_kind_replaces_the_section(folder: Path) -> None:
    constant = overlay(folder, "a.yaml", "random_walk: {background: {kind: constant, score: 0.2}}")
    study = workflow_study(workflow(folder, constant))
    assert study.random_walk.background == ConstantBackground(kind="constant", score=0.2)
    assert (study.random_walk.t, study.name) == (8, "base")


def test_later_files_win_and_values_of_the_command_line_last(folder: Path) -> None:
    first = overlay(folder, "a.yaml", "name: first\nseed: 1\nrandom_walk: {t: 2}")
    second = overlay(folder, "b.yaml", "name: second\nseed: 2")
    study = workflow_study(workflow(folder, first, second, config={"name": "last"}))
    assert (study.name, study.seed, study.random_walk.t) == ("last", 2, 2)


def test_the_base_is_that_of_the_working_directory_if_it_has_one(folder: Path) -> None:
    assert workflow_study(workflow(folder)).name == "base"
    Path("config.yaml").write_text("name: here")
    asked = workflow(folder)
    assert workflow_study(asked).name == "here"
    assert asked.configfiles == [Path("config.yaml")]


def test_the_base_can_be_left_out(folder: Path) -> None:
    alone = overlay(folder, "a.yaml", "name: alone")
    assert workflow_study(workflow(folder, alone, replace=True)) == Study(name="alone")


def test_what_is_wrong_is_said_with_its_key(folder: Path) -> None:
    wrong = overlay(folder, "a.yaml", "random_walk: {background: {kind: constant, alpha: 3}}")
    with pytest.raises(ConfigError, match=r"random_walk\.background\.alpha"):
        workflow_study(workflow(folder, wrong))
    with pytest.raises(FileNotFoundError, match="missing"):
        workflow_study(workflow(folder, folder / "missing.yaml"))


@pytest.mark.parametrize(
    "python", ["/home/anna/my photos/.venv/bin/python", "/srv/a&b/bin/python", "/o'b/bin/python"]
)
def test_a_python_that_the_shell_cannot_name_is_refused_at_once(python: str) -> None:
    folder = str(Path(python).parent.parent)
    with pytest.raises(
        ConfigError, match=f"^{folder}: Snakemake starts no job .* move the virtual environment"
    ):
        check_places("/srv/wsss", python)


def test_braces_in_the_folder_of_the_workflow_are_refused() -> None:
    check_places("/srv/my wsss", "/srv/.venv/bin/python3.11")
    with pytest.raises(ConfigError, match=r"^/srv/\{a\}/wsss: Snakemake fills in braces: rename the folder$"):
        check_places("/srv/{a}/wsss", "/srv/.venv/bin/python")
