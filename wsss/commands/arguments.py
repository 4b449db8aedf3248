"""What commands share: the overlays of a study, the study that they describe, and how a command refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from wsss.study.config import Study

CONFIG = Path("config.yaml")
"""The configuration in the folder in which Snakemake runs."""

Overlays = Annotated[
    list[Path] | None,
    typer.Argument(metavar="OVERLAY", help="YAML files over config.yaml, as for snakemake --configfile."),
]


def study_of(overlays: list[Path] | None = None) -> Study:
    """Read the study of config.yaml and overlays; end the command if it is invalid."""
    from wsss.study.config import ConfigError, read_study

    try:
        return read_study(CONFIG, *(overlays or ()))
    except (ConfigError, OSError) as error:
        refuse(error)


def refuse(reason: object) -> NoReturn:
    """End the command with exit status 2 and a message on stderr."""
    typer.echo(reason, err=True)
    raise typer.Exit(2)
