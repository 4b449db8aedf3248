"""`wsss run`: Snakemake with the right Snakefile, profile and study."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import overlays_of, refuse, study_of
from wsss.planning.command_line import Target, snakemake_line, workflow_folder
from wsss.planning.locks import clean
from wsss.study.words import did_you_mean

Words = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="STUDY",
        help="YAML file of a study, or several, of which later ones lie over earlier ones; without any, "
        "study.yaml. The last word may be a target, as with --only.",
    ),
]
Only = Annotated[
    Target | None, typer.Option(metavar="TARGET", help="Stop after these results: cams, masks, sweep or all.")
]
Cores = Annotated[str | None, typer.Option(help="Number of cores; otherwise as the profile says, all.")]
Profile = Annotated[str | None, typer.Option(help="A profile of Snakemake, such as slurm.")]
Plain = Annotated[bool, typer.Option("--plain", help="Plain lines instead of the live view.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Only list what would be computed.")]


def run(
    overlays: Words = None,
    only: Only = None,
    cores: Cores = None,
    profile: Profile = None,
    dry_run: DryRun = False,
    plain: Plain = False,
) -> None:
    """Compute a study with Snakemake, whose line it prints.

    In a terminal it shows how far the run is, below what jobs say.

    After an interruption run it again: finished results are kept, and trainings go on where they stopped.
    """
    if profile is not None:
        check_profile(profile)
    words, named = _without_target(overlays or [])
    files = overlays_of(words)
    study = study_of(files)
    target = only or named
    targets = [] if target in (None, Target.ALL) else [str(target)]
    line = snakemake_line(files, *targets, cores=cores, profile=profile, dry_run=dry_run)
    if not dry_run:
        clear_dead_lock(files)
        clean(study.folder)
    typer.echo(shlex.join(line))
    if not dry_run and not plain:
        from wsss.planning.screen import has_screen, run_in_view

        if has_screen():
            sys.stdout.flush()
            raise typer.Exit(run_in_view(line, Path(study.folder)))
    os.execvp(line[0], line)


def check_profile(profile: str) -> None:
    """End the command if there is no such profile: Snakemake would go on without any."""
    profiles = workflow_folder() / "profiles"
    known = sorted(path.name for path in profiles.iterdir() if path.is_dir())
    places = (Path(), Path("profiles"), profiles)
    if profile != "none" and not any((place / profile).exists() for place in places):
        hint = did_you_mean(profile, known) or f", expected a folder, or one of {', '.join(known)}"
        refuse(f"--profile {profile}: there is no such profile{hint}")


def _without_target(words: list[Path]) -> tuple[list[Path], Target | None]:
    """Split off the name of a target that stands behind the overlays."""
    if words and str(words[-1]) in set(Target) and not words[-1].is_file():
        return words[:-1], Target(str(words[-1]))
    return words, None


def clear_dead_lock(files: list[Path]) -> None:
    """Remove the lock of a Snakemake that was killed; end the command if another one may still run."""
    from wsss.planning.locks import is_locked, owner, owner_is_dead, running_here

    if not is_locked():
        return
    unlock, last, here = snakemake_line(files, unlock=True), owner(), running_here()
    if not owner_is_dead():
        who = f"process {last.pid} on {last.host}" if last else "another Snakemake"
        if last and last.host == socket.gethostname() and here and last.pid not in here:
            refuse(
                f"{Path.cwd()}: the run of {who} was killed, but its jobs, or another run, still work here. "
                "Wait until they have ended, or end them, and start again:\n"
                f"  kill {' '.join(map(str, here))}"
            )
        refuse(
            f"{Path.cwd()}: locked by {who}. If that no longer runs, remove the lock and start again:\n"
            f"  {shlex.join(unlock)}"
        )
    subprocess.run(unlock, check=True, capture_output=True)
    typer.echo("The last run was killed; its lock is removed.")
