"""How Snakemake was started, and the commands that follow from it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wsss.study.invocation import VARIABLE, Invocation


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a Snakefile."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    return tmp_path


@pytest.fixture
def on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snakemake beside Python, which the shell finds."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python", "snakemake"):
        (programs / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", str(programs))


def workflow(*files: Path, snakefile: Path | str = "Snakefile", config: Any = None) -> Any:
    settings = SimpleNamespace(configfiles=list(files), config_args=config)
    return SimpleNamespace(main_snakefile=str(Path(snakefile).absolute()), config_settings=settings)


@pytest.mark.usefixtures("on_the_path")
def test_a_command_repeats_the_files_of_the_study(folder: Path) -> None:
    found = Invocation.of(workflow(folder / "studies" / "mine.yaml", Path("/elsewhere/b.yaml")))
    assert found.command() == "snakemake --configfile studies/mine.yaml /elsewhere/b.yaml"
    assert found.command("sweep") == "snakemake sweep --configfile studies/mine.yaml /elsewhere/b.yaml"
    assert found.command(overlays=["best.yaml"]).endswith("/elsewhere/b.yaml best.yaml")


@pytest.mark.usefixtures("on_the_path")
def test_the_default_study_needs_no_options() -> None:
    assert Invocation.of(workflow()).command("sweep") == "snakemake sweep"


@pytest.mark.usefixtures("on_the_path")
def test_values_and_a_snakefile_elsewhere_are_repeated_and_quoted(folder: Path) -> None:
    found = Invocation.of(
        workflow(
            folder / "my study.yaml",
            snakefile=folder / "package" / "Snakefile",
            config=["cams={'flip': False}"],
        )
    )
    assert shlex.split(found.command("all")) == [
        "snakemake", "all", "--snakefile", "package/Snakefile", "--config", "cams={'flip': False}",
        "--configfile", "my study.yaml",
    ]  # fmt: skip


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "snakemake").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", str(folder))
    assert Invocation().command("sweep") == ".venv/bin/snakemake sweep"


@pytest.mark.usefixtures("on_the_path")
def test_only_commands_in_a_text_are_completed() -> None:
    text = "`snakemake sweep` tries others; `random_walk.t` is a key, `snakemake_log` is none."
    expected = text.replace("`snakemake sweep`", "`snakemake sweep --configfile a.yaml`")
    assert Invocation(("a.yaml",)).runnable(text, "results/a") == expected


def test_the_folder_of_results_is_filled_in() -> None:
    assert Invocation().runnable("`RESULTS/report/x.png` is drawn", Path("out/mine")) == (
        "`out/mine/report/x.png` is drawn"
    )


def test_jobs_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Invocation(("a.yaml",), ("seed=1",), None)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Invocation.of_environment() is None
    monkeypatch.setenv(VARIABLE, given.environment()[VARIABLE])
    assert Invocation.of_environment() == given
    assert Invocation.from_json(json.loads(json.dumps(given.to_json()))) == given
