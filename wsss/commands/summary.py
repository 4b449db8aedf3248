"""`wsss summary`: scores, and where things are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse


def summary(
    results: Annotated[Path, typer.Argument(help="Folder of a study's results, results/<study>.")],
) -> None:
    """Print scores, and where masks and report are."""
    from wsss.report.summary import summary as summarize

    if not results.is_dir():
        refuse(f"{results}: no such folder, expected results/<study>")
    typer.echo(summarize(results))
