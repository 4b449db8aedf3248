"""Every command that is printed can be typed in again."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wsss.stages.health import ALARMS
from wsss.study.invocation import Invocation

pytestmark = pytest.mark.slow

PROGRAM = r"(?:[^\s`]+/)?(?:wsss|snakemake|python[\d.]* -m (?:wsss|snakemake))"

ALONE = re.compile(rf"^ {{2,}}({PROGRAM}\b ?.*)$", re.M)
"""A command on a line of its own."""

SPAN = re.compile(
    rf"`({PROGRAM}\b[^`]*)`"
    rf"|\(({PROGRAM} --report \S+[^)]*) writes it\)"
    rf"|(?:what runs it|targets come first|to run with the best): ({PROGRAM} .*)$"
    rf"|as in ({PROGRAM} .*)$",
    re.M,
)
"""A command within a sentence."""


class Shell:
    """Types commands into a folder with a copy of the workflow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PYTHONPATH": str(folder)}

    def said(self, *words: str, fails: bool = False) -> str:
        """What a command prints."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        done = subprocess.run(words, cwd=self.folder, env=self.environment, text=True, **pipes)
        assert bool(done.returncode) == fails, f"{shlex.join(words)}\n{done.stdout}"
        return done.stdout

    def wsss(self, *arguments: str, fails: bool = False) -> str:
        """What a command of wsss prints."""
        return self.said(sys.executable, "-m", "wsss", *arguments, fails=fails)

    def type_in(self, text: str) -> list[str]:
        """Type in each command of a text, as a dry run where it would compute; return them."""
        found = [*ALONE.findall(text), *("".join(pair) for pair in SPAN.findall(text))]
        for command in found:
            words = self.without_path(shlex.split(command))
            computes = words[2] == "snakemake" or words[3] == "run"
            done_otherwise = {"--unlock", "--report"} & set(words)
            self.said(*words, *(["--dry-run", "--cores", "1"] if computes and not done_otherwise else []))
        return found

    @staticmethod
    def without_path(words: list[str]) -> list[str]:
        """The program of this environment, whether or not the shell would find it."""
        if words[1:2] == ["-m"]:
            return words
        return [sys.executable, "-m", Path(words[0]).name, *words[1:]]


@pytest.fixture
def shell(workflow) -> Shell:
    shutil.copy(workflow.folder / "study.yaml", workflow.folder / "mine.yaml")
    return Shell(workflow.folder)


def test_what_a_finished_run_says(shell: Shell) -> None:
    said = (shell.folder / "said.txt").read_text()
    assert shell.type_in(said)
    assert shell.type_in(shell.wsss("summary", "results/tiny"))


def test_what_commands_say_of_a_finished_study(shell: Shell) -> None:
    assert "All results are there." in shell.wsss("check", "mine.yaml")
    made = shell.wsss("branch", "mine.yaml", "steps", "--set", "random_walk.t=20")
    assert len(shell.type_in(made)) == 2
    checked = shell.wsss("check", "steps.yaml")
    assert "random_walk" in checked
    assert len(shell.type_in(checked)) == 1
    shutil.rmtree(shell.folder / "results" / "steps" / "dataset")
    assert not shell.type_in(shell.wsss("verify", "mine.yaml"))


def test_what_commands_say_that_refuse(shell: Shell) -> None:
    (shell.folder / "new.yaml").write_text("name: new\n")
    (shell.folder / "config.yaml").write_text("random_walk: {t: 17}\n")
    (shell.folder / ".snakemake" / "locks").mkdir(parents=True, exist_ok=True)
    refusals = [
        shell.wsss("tables", "new.yaml", fails=True),
        shell.wsss("compare", "new.yaml", "results/tiny", fails=True),
        shell.wsss("config", "write", fails=True),
    ]
    (shell.folder / ".snakemake" / "locks" / "0.output.lock").write_text("results/new/dataset/manifest.tsv\n")
    (shell.folder / ".snakemake" / "wsss_owner.json").unlink()
    refusals.append(shell.wsss("run", "new.yaml", fails=True))
    shutil.rmtree(shell.folder / ".snakemake" / "locks")
    for refusal in refusals:
        assert len(shell.type_in(refusal)) == 1, refusal


def test_what_init_says(shell: Shell) -> None:
    (shell.folder / "study.yaml").unlink()
    made = shell.wsss("init", "photos", "--out", "photos.yaml", "--recipe", "quick-cpu")
    assert len(shell.type_in(made)) == 2
    head = (shell.folder / "photos.yaml").read_text().replace("#", " ")
    assert len(shell.type_in(head)) == 1
    assert len(shell.type_in(shell.wsss("init", "photos", "--out", "photos.yaml", fails=True))) == 1


def test_what_bare_snakemake_says_of_its_command_line(shell: Shell) -> None:
    shutil.copytree(shell.folder / "photos" / "images", shell.folder / "photographs")
    snakemake = [sys.executable, "-m", "snakemake"]
    for words in (
        ["mine.yaml", "--cores", "1"],
        ["study.yaml", "--configfile", "mine.yaml"],
        ["--configfile", "mine.yaml", "masks"],
        ["predict", "--configfile", "mine.yaml"],
    ):
        said = shell.said(*snakemake, *words, "--dry-run", fails=True)
        (command,) = shell.type_in(said.splitlines()[-1])
        assert "mine.yaml" in command


def test_what_every_alarm_advises(shell: Shell) -> None:
    started = Invocation(("mine.yaml",))
    advice = {started.runnable(text, "results/tiny") for alarm in ALARMS for text in alarm.help}
    commands = {command for text in advice for spans in SPAN.findall(text) for command in spans if command}
    assert len(commands) >= 3
    for command in sorted(commands):
        assert "--configfile mine.yaml" in command
        assert shell.type_in(f"`{command}`") == [command]


def test_what_a_summary_says_of_a_sweep_and_of_a_run_that_stopped_early(shell: Shell) -> None:
    (shell.folder / "results" / "tiny" / "health.json").unlink()
    shutil.rmtree(shell.folder / "results" / "tiny" / "health")
    point = {"background": "power", "alpha": 2.0, "beta": 8.0, "t": 16, "normalize": "class"}
    points = {"criterion": "miou", "images": 3, "points": [{"rank": 1, "miou": 0.5, **point}]}
    sweep = shell.folder / "results" / "tiny" / "sweep"
    sweep.mkdir()
    (sweep / "points.json").write_text(json.dumps(points))
    (sweep / "best.yaml").write_text("random_walk: {beta: 8, t: 16}\n")
    assert len(shell.type_in(shell.wsss("summary", "mine.yaml"))) == 2
    assert not shell.type_in(shell.wsss("summary", "results/tiny")), "nobody knows which study that was"


def test_where_there_is_no_study(tmp_path: Path, workflow) -> None:
    shell = Shell(tmp_path / "empty")
    shell.folder.mkdir()
    shell.environment["PYTHONPATH"] = str(workflow.folder)
    for command in ("run", "check", "verify"):
        assert len(shell.type_in(shell.wsss(command, fails=True))) == 1
