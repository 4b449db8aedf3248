"""`wsss voc-submission`: archives for the evaluation server of PASCAL VOC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse

app = typer.Typer(help="Archives for the evaluation server of PASCAL VOC.", no_args_is_help=True)


@app.callback()
def voc_submission() -> None:
    """Archives for the evaluation server of PASCAL VOC.

    `snakemake voc_submission` makes them.
    """


@app.command()
def check(
    archive: Annotated[Path, typer.Argument(help="The archive, results.tgz.")],
    root: Annotated[Path, typer.Option(help="The folder VOCdevkit/VOC2012 with the test images.")],
) -> None:
    """List what the server would refuse.

    Exit status 1 if there is anything. Nothing is unpacked to disk.
    """
    from wsss.stages.voc_submission import image_sizes, problems_of

    try:
        sizes = image_sizes(root)
    except (ValueError, OSError) as error:
        refuse(error)
    found = problems_of(archive, sizes)
    typer.echo("\n".join(found or [f"{archive}: {len(sizes)} masks, as the server expects them"]))
    raise typer.Exit(int(bool(found)))
