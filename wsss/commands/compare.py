"""`wsss compare`: two studies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse, results_of

First = Annotated[Path, typer.Argument(metavar="A", help="A study: its YAML file, or results/<study>.")]
Second = Annotated[Path, typer.Argument(metavar="B", help="The other study.")]


def compare(first: First, second: Second) -> None:
    """Compare two studies: scores, keys, and changed images."""
    from wsss.planning.comparing import comparison
    from wsss.results import ArtifactError

    try:
        typer.echo(comparison(results_of(first), results_of(second)))
    except ArtifactError as error:
        refuse(error)
