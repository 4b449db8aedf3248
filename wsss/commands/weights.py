"""`wsss weights`: which weights of a file fit a backbone, and those that a study downloads."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import Overlays, refuse, study_of

app = typer.Typer(help="Check and fetch weights to start from.")


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="File of weights: .pth, .safetensors, .params, .caffemodel.")],
    backbone: Annotated[str, typer.Argument(help="Name of a backbone, as in the configuration.")],
) -> None:
    """Report which weights of a file a backbone uses.

    Exit status 1 if they do not fit.
    """
    refuse_unknown(backbone)
    from wsss.models.initial_weights import fitting
    from wsss.models.weights.reading import read_state

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    try:
        fitting(read_state(file), backbone, str(file), in_full=True)
    except ValueError as error:
        typer.echo(error)
        raise typer.Exit(1) from error


@app.command()
def fetch(
    overlays: Overlays = None,
    backbone: Annotated[
        list[str] | None, typer.Option(help="Name of a backbone in place of a study's; may be repeated.")
    ] = None,
) -> None:
    """Download the ImageNet weights of a study.

    Machines without a network need them beforehand. Weights that are there are not downloaded again. Exit
    status 1 if some cannot be had, or do not fit.
    """
    if backbone is None:
        from wsss.planning.start import downloaded_backbones

        backbone = downloaded_backbones(study_of(overlays))
        if not backbone:
            typer.echo("No network of the study starts from weights that are downloaded.")
    for name in backbone:
        refuse_unknown(name)
    from wsss.models.initial_weights import resolve_weights

    for name in backbone:
        try:
            resolve_weights("imagenet", name)
        except ValueError as error:
            typer.echo(error, err=True)
            raise typer.Exit(1) from error
        typer.echo(f"{name}: its ImageNet weights are here")


def refuse_unknown(backbone: str) -> None:
    """End the command if there is no such backbone."""
    from wsss.study.registry import backbone_facts

    try:
        backbone_facts(backbone)
    except ValueError as error:
        refuse(f"{backbone}: {error}")
