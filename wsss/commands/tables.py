"""`wsss tables`: scores next to the published ones."""

from __future__ import annotations

from pathlib import Path

import typer

from wsss.commands.arguments import Overlays, refuse, study_of


def tables(overlays: Overlays = None) -> None:
    """Print scores next to the published ones.

    The rule write_tables computes them.
    """
    study = study_of(overlays)
    page = Path(study.results, study.name, "tables", "results.md")
    if not page.is_file():
        refuse(f"{page}: no such file; `snakemake write_tables --cores all` writes it")
    typer.echo(page.read_text(encoding="utf-8"), nl=False)
