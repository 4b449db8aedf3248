"""The command line of Snakemake for a study, and what a dry run of it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from wsss.study.code_digest import WORKFLOW
from wsss.study.invocation import program

STUDY = Path("study.yaml")
"""The overlay that `wsss init` writes, and that counts where a command is given none."""


class Target(StrEnum):
    """Rules that gather what a person may want, see `rules/targets.smk`."""

    CAMS = "cams"
    MASKS = "masks"
    SWEEP = "sweep"
    ALL = "all"


class WorkflowFailed(RuntimeError):
    """Snakemake ended with an error; the message is what it said."""


def workflow_folder() -> Path:
    """The folder of the Snakefile: the working directory if it is a clone, else that of this package."""
    is_clone = Path("Snakefile").is_file() and Path("wsss", "__init__.py").is_file()
    return Path() if is_clone else WORKFLOW


def snakemake_line(
    overlays: Sequence[Path | str] = (),
    *targets: str,
    cores: str | None = None,
    profile: str | None = None,
    dry_run: bool = False,
    unlock: bool = False,
) -> list[str]:
    """The words of the command that computes targets of a study.

    Args:
        overlays: YAML files over `config.yaml`.
        targets: names of rules; none: all that the study makes.
        cores: number of cores, or `all`; None: what the profile says.
        profile: folder below `profiles/`; None: `default`.
        dry_run: only say what would be done.
        unlock: only remove the lock of the working directory.
    """
    folder = workflow_folder()
    return [
        *program("snakemake"),
        *targets,
        *([] if folder == Path() else ["--snakefile", str(folder / "Snakefile")]),
        *(["--workflow-profile", profile] if profile else []),
        *(["--cores", cores] if cores else []),
        *(["--dry-run"] if dry_run else []),
        *(["--unlock"] if unlock else []),
        *(["--configfile", *map(str, overlays)] if overlays else []),
    ]


def wsss_line(command: str, *arguments: Path | str) -> str:
    """A command of `wsss` as it can be typed in; a study that counts without being named is left out."""
    given = [str(argument) for argument in arguments]
    return shlex.join([*program("wsss"), command, *([] if given == [str(STUDY)] else given)])


def planned_jobs(overlays: Sequence[Path | str] = (), *targets: str) -> dict[str, int]:
    """The number of jobs per rule that a run would start now, by a dry run.

    As long as `prepare_dataset` is among them, shards and what they need are not: they depend on its tables.

    Raises:
        WorkflowFailed: The workflow cannot be planned.
    """
    line = snakemake_line(overlays, *targets, cores="1", dry_run=True)
    return _job_stats(said_by([*line, "--quiet", "rules", "reason", "host"]))


def said_by(line: Sequence[str]) -> str:
    """Run Snakemake and return what it printed.

    Raises:
        WorkflowFailed: It ended with an error.
    """
    done = subprocess.run(line, text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise WorkflowFailed(f"{done.stdout}\n{done.stderr}".strip())
    return done.stdout


def _job_stats(said: str) -> dict[str, int]:
    tables = re.findall(r"^job +count\n[- ]+\n(.*?)^total", said, flags=re.MULTILINE | re.DOTALL)
    rows = [line.split() for line in tables[0].splitlines()] if tables else []
    return {name: int(count) for name, count in rows if name not in set(Target)}
