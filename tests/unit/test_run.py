"""`wsss run`: the line of Snakemake that it prints and becomes, and locks that a killed run left behind."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wsss.__main__ import app
from wsss.planning.command_line import Target
from wsss.planning.locks import is_locked, note_owner, owner, owner_is_dead

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that this process would have become."""
    lines: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda program, line: lines.append([program, *line[1:]]))
    return lines


def wsss(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def line_of(became: list[list[str]], *arguments: str) -> str:
    """What follows `snakemake` on the line, which is printed last as it is run."""
    result = wsss("run", *arguments)
    assert result.exit_code == 0, result.output
    printed = shlex.split(result.stdout.splitlines()[-1])
    assert printed == became[-1]
    assert Path(printed[0]).name == "snakemake"
    return shlex.join(printed[1:]).replace(f"--snakefile {ROOT}/Snakefile", "-s")


# The line


def test_a_profile_that_is_not_there_is_refused(became) -> None:
    Path("study.yaml").write_text("name: mine")
    result = wsss("run", "--profile", "slurn")
    assert result.exit_code == 2
    assert "--profile slurn: there is no such profile, did you mean 'slurm'?" in result.stderr
    Path("site").mkdir()
    assert "--workflow-profile site" in line_of(became, "--profile", "site")
    assert "--workflow-profile slurm" in line_of(became, "--profile", "slurm")


def test_study_yaml_counts_where_nothing_is_named(became) -> None:
    Path("study.yaml").write_text("name: mine")
    assert line_of(became) == "-s --configfile study.yaml"


@pytest.mark.parametrize("target", [target for target in Target if target != "all"])
def test_a_target_by_option_or_behind_the_study(became, target: Target) -> None:
    Path("mine.yaml").write_text("name: mine")
    Path("best.yaml").write_text("seed: 1")
    line = f"{target} -s --configfile mine.yaml best.yaml"
    assert line_of(became, "mine.yaml", "best.yaml", "--only", target) == line
    assert line_of(became, "mine.yaml", "best.yaml", target) == line


def test_all_is_what_snakemake_makes_anyway(became) -> None:
    Path("study.yaml").write_text("name: mine")
    assert line_of(became, "all") == line_of(became)


def test_cores_profile_and_dry_run(became) -> None:
    Path("study.yaml").write_text("name: mine")
    options = "-s --workflow-profile slurm --cores 3 --dry-run --configfile study.yaml"
    assert line_of(became, "--cores", "3", "--profile", "slurm", "-n") == options


def test_names_with_spaces_run_as_printed(became) -> None:
    Path("my study.yaml").write_text("name: mine")
    assert line_of(became, "my study.yaml") == "-s --configfile 'my study.yaml'"


def test_a_clone_in_the_working_directory_goes_first(became) -> None:
    for name in ("Snakefile", "wsss/__init__.py", "config.yaml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("{}" if name == "config.yaml" else "")
    assert line_of(became) == ""


# What does not run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "neither study.yaml nor config.yaml is here. How to make a study of your photographs:\n"),
        (["gone.yaml"], "gone.yaml: no such file, expected the YAML file of a study"),
        (["photos"], "photos: a folder, expected the YAML file of a study"),
        (["wrong.yaml"], "random_walk.betta"),
        (
            ["mine.yaml", "--profile", "slrum"],
            "--profile slrum: there is no such profile, did you mean 'slurm'?",
        ),
        (["mine.yaml", "--profile", "x"], "expected a folder, or one of default, slurm"),
        (["mine.yaml", "--only", "mask"], "'mask' is not one of 'cams', 'masks', 'sweep', 'all'"),
    ],
)
def test_one_sentence_says_what_is_wrong(became, arguments: list[str], said: str) -> None:
    Path("photos").mkdir()
    Path("mine.yaml").write_text("name: mine")
    Path("wrong.yaml").write_text("random_walk: {betta: 8}")
    result = wsss("run", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert became == []


# Locks


def lock() -> None:
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.output.lock").write_text("results/mine/dataset/manifest.tsv\n")


def dead_process() -> int:
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def owned_by(pid: int, host: str = socket.gethostname()) -> None:
    Path(".snakemake/wsss_owner.json").write_text(json.dumps({"host": host, "pid": pid}))


def test_the_owner_of_a_run_is_noted() -> None:
    assert owner() is None
    note_owner()
    assert owner() == (socket.gethostname(), os.getpid())


def test_the_lock_of_a_killed_run_is_removed(became) -> None:
    Path("study.yaml").write_text("name: mine")
    lock()
    owned_by(dead_process())
    assert is_locked()
    assert owner_is_dead()
    assert "The last run was killed; its lock is removed.\n" in wsss("run").stdout
    assert not is_locked()
    assert len(became) == 1


def test_a_dry_run_leaves_locks_alone(became) -> None:
    Path("study.yaml").write_text("name: mine")
    lock()
    assert line_of(became, "-n").endswith("--configfile study.yaml")
    assert is_locked()


@pytest.mark.parametrize("note", ["elsewhere", "none", "damaged"])
def test_a_lock_of_somebody_else_stays_and_the_command_that_removes_it_is_named(became, note: str) -> None:
    Path("study.yaml").write_text("name: mine")
    lock()
    if note == "elsewhere":
        owned_by(dead_process(), host="another-machine")
    if note == "damaged":
        Path(".snakemake/wsss_owner.json").write_text("{")
    refused = wsss("run")
    assert refused.exit_code == 2
    assert ("on another-machine" in refused.stderr) == (note == "elsewhere")
    assert is_locked()
    assert became == []
    command = shlex.split(refused.stderr.splitlines()[-1])
    subprocess.run([sys.executable, "-m", *command] if command[0] == "snakemake" else command, check=True)
    assert not is_locked()


def test_the_lock_of_a_run_that_goes_on_stays(became) -> None:
    Path("study.yaml").write_text("name: mine")
    lock()
    program = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program, "snakemake"], stdin=subprocess.PIPE) as running:
        owned_by(dead_process())  # an earlier run's note
        assert not owner_is_dead()
        assert wsss("run").exit_code == 2
        running.communicate()
    assert owner_is_dead()
