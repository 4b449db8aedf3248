"""`wsss verify`: which results are stale."""

from __future__ import annotations

from pathlib import Path

import typer

from wsss.commands.arguments import Overlays, study_of


def verify(overlays: Overlays = None) -> None:
    """List stale results, with the reasons.

    Exit status 1 if a result is stale, or if there are no results.
    """
    from wsss.study.provenance import manifests
    from wsss.study.provenance import verify as stale_artifacts

    study = study_of(overlays)
    folder = Path(study.results, study.name)
    count, lines = len(manifests(folder)), stale_artifacts(folder, study)
    if not count:
        lines = [f"{folder}: no results yet"]
    typer.echo("\n".join(lines or [f"{folder}: all {count} artifacts are up to date"]))
    raise typer.Exit(int(bool(lines)))
