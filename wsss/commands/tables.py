"""`wsss tables`: scores next to the published ones."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

from wsss.commands.arguments import Overlays, overlays_of, refuse, study_of
from wsss.planning.command_line import snakemake_line


def tables(overlays: Overlays = None) -> None:
    """Print scores next to the published ones.

    The rule write_tables computes them.
    """
    from wsss.study.integrity import require_whole

    files = overlays_of(overlays)
    study = study_of(files)
    page = Path(study.results, study.name, "tables", "results.md")
    if not page.is_file():
        refuse(
            f"{page}: no such file. What writes it:\n  {shlex.join(snakemake_line(files, 'write_tables'))}"
        )
    require_whole(page)
    typer.echo(page.read_text(encoding="utf-8"), nl=False)
