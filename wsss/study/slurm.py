"""The SLURM of this machine: whether there is one, and how to learn there what became of a job.

`profiles/slurm` asks before Snakemake reads a study. The executor plugin itself takes `sacct` wherever that
program exists; where SLURM keeps no accounts, it would wait for ever.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

PLUGIN = "snakemake_executor_plugin_slurm"
PROGRAMS = ("sbatch", "squeue", "sacct", "scontrol")
"""The plugin asks `sacct` for an account, whether or not there is accounting."""

PLANS_ONLY = ("-n", "--dry-run", "--dryrun", "--unlock", "--lint", "--help", "-h", "--version", "-v")
"""Options of Snakemake with which no job starts."""

FIRST_CHECK = 40
"""Seconds from a submission until the plugin first asks, where there is no reason to ask sooner."""

LONGEST_PAUSE = 180
"""Seconds between two questions of the plugin, once nothing has ended for a while."""

SACCT = (
    "sacct -X --parsable2 --clusters all --noheader --format=JobIdRaw,State --starttime now --name wsss-asks"
)
"""As the plugin asks it."""


class StatusQuery(NamedTuple):
    """How the plugin learns what became of jobs.

    Attributes:
        command: `sacct` or `squeue`.
        first_check: seconds after which it asks first.
    """

    command: str
    first_check: int


def slurm_here(arguments: Sequence[str] | None = None) -> StatusQuery | None:
    """How jobs can be watched; None where there is no SLURM and none will start, as in a dry run elsewhere.

    Says on stderr where it is not with `sacct`, and why.

    Args:
        arguments: of Snakemake, by default those of this process.

    Raises:
        SystemExit: there is no SLURM, it does not answer, or jobs could not be watched; it says which.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        require_slurm()
        return status_query()
    except SystemExit:
        if not set(PLANS_ONLY).isdisjoint(given):
            return None
        raise


def require_slurm() -> None:
    """End the program with a sentence where jobs cannot be submitted.

    Raises:
        SystemExit: a program of SLURM, or the plugin, is not there.
    """
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise SystemExit(
            f"profiles/slurm: {missing[0]} is not on PATH: this is not a machine from which jobs can be "
            "submitted to SLURM. On a workstation leave the profile away: wsss run, or bare snakemake"
        )
    if find_spec(PLUGIN) is None:
        install = shlex.join([sys.executable, "-m", "pip", "install", PLUGIN.replace("_", "-")])
        raise SystemExit(f"profiles/slurm: {PLUGIN.replace('_', '-')} is not installed: {install}")


@cache
def status_query() -> StatusQuery:
    """Ask SLURM, once, how jobs can be watched; see `slurm_here`.

    Raises:
        SystemExit: it does not answer, or jobs could not be watched.
    """
    status, config = _said_by("scontrol show config")
    if status:
        problem = f"SLURM does not answer: {_last_line(config)} (scontrol show config)"
        raise SystemExit(f"profiles/slurm: {problem}")
    status, said = _said_by(SACCT)
    if status == 0:
        return StatusQuery("sacct", FIRST_CHECK)
    reason = f"no accounts can be read here (sacct: {_last_line(said)})"
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", config, re.MULTILINE)
    remembered = int(found[1]) if found else 0
    if remembered < 3:
        raise SystemExit(
            f"profiles/slurm: {reason}, and ended jobs leave squeue after {remembered} s (MinJobAge): the "
            "run would wait for ever. Ask the administrator for accounting, or for MinJobAge=300"
        )
    short = (
        f". Ended jobs leave it after {remembered} s (MinJobAge), so one can be missed, for which the run "
        "would wait for ever; MinJobAge=300 is long enough"
    )
    note = short if remembered < LONGEST_PAUSE else ""
    print(f"profiles/slurm: {reason}: jobs are watched with squeue{note}", file=sys.stderr)
    return StatusQuery("squeue", min(FIRST_CHECK, remembered // 3))


def _said_by(command: str) -> tuple[int, str]:
    """The exit status of a command of SLURM, and what it said."""
    try:
        done = subprocess.run(
            shlex.split(command), text=True, capture_output=True, check=False, timeout=60, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return 1, "no answer within a minute"
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr or done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1].strip().rstrip(".")
