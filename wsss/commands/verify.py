"""`wsss verify`: which results are stale or damaged."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from wsss.commands.arguments import Overlays, study_of


def verify(overlays: Overlays = None) -> None:
    """List stale and damaged results, with the reasons.

    Reads every result and all that it was made from, photographs included, and compares the content. Versions
    of libraries and numbers of threads are warnings. Exit status 1 if a result is not as it should be, or if
    there are no results.
    """
    from wsss.study.verification import verify as compared

    study = study_of(overlays)
    folder = Path(study.results, study.name)
    start = time.monotonic()
    found = compared(folder, study)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")
    for line in found.stale:
        typer.echo(line)
    compared_files = f"{found.files} files, {found.size / 1e6:.1f} MB, in {time.monotonic() - start:.1f} s"
    if not found.artifacts:
        typer.echo(f"{folder}: no results yet")
    elif not found.stale:
        typer.echo(f"{folder}: all {found.artifacts} artifacts are up to date ({compared_files})")
    else:
        typer.echo(f"{folder}: {len(found.stale)} of {found.artifacts} artifacts are not ({compared_files})")
    raise typer.Exit(int(bool(found.stale) or not found.artifacts))
