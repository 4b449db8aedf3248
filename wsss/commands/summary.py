"""`wsss summary`: scores, and where things are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import results_of


def summary(
    study: Annotated[
        Path | None,
        typer.Argument(help="A study: its YAML file, or results/<study>; without it, study.yaml."),
    ] = None,
) -> None:
    """Print scores, and where masks and report are."""
    from wsss.report.summary import summary as summarize

    typer.echo(summarize(results_of(study)))
