"""`wsss weights`: which weights of a file fit a backbone."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse


def weights(
    file: Annotated[Path, typer.Argument(help="File of weights: .pth, .safetensors, .params, .caffemodel.")],
    backbone: Annotated[str, typer.Argument(help="Name of a backbone, as in the configuration.")],
) -> None:
    """Report which weights of a file a backbone uses.

    Exit status 1 if they do not fit.
    """
    from wsss.study.registry import backbone_facts

    try:
        backbone_facts(backbone)
    except ValueError as error:
        refuse(f"{backbone}: {error}")
    from wsss.models.initial_weights import fitting
    from wsss.models.weights.reading import read_state

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    try:
        fitting(read_state(file), backbone, str(file), in_full=True)
    except ValueError as error:
        typer.echo(error)
        raise typer.Exit(1) from error
