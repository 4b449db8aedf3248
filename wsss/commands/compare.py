"""`wsss compare`: two studies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse, study_of
from wsss.planning.command_line import wsss_line

First = Annotated[Path, typer.Argument(metavar="A", help="A study: its YAML file, or results/<study>.")]
Second = Annotated[Path, typer.Argument(metavar="B", help="The other study.")]


def compare(first: First, second: Second) -> None:
    """Compare two studies: scores, keys, and changed images."""
    from wsss.planning.comparing import comparison
    from wsss.results import ArtifactError

    try:
        typer.echo(comparison(_results_of(first), _results_of(second)))
    except ArtifactError as error:
        refuse(error)


def _results_of(study: Path) -> Path:
    """The folder of a study's results; end the command if there are none."""
    if study.is_dir():
        if not (study / "dataset").is_dir():
            refuse(f"{study}: no results of a study, expected results/<study> or its YAML file")
        return study
    read = study_of([study])
    folder = Path(read.results, read.name)
    if not folder.is_dir():
        refuse(f"{folder}: no results yet; what makes them:\n  {wsss_line('run', study)}")
    return folder
