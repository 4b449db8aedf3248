"""`wsss export`: networks for other programs, and masks for annotation tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse

app = typer.Typer(help="Hand networks and masks to other programs.", no_args_is_help=True)


@app.callback()
def export() -> None:
    """Hand networks and masks to other programs."""


@app.command()
def model(
    bundle: Annotated[Path, typer.Argument(help="Bundle, such as results/<study>/bundle/segmenter.")],
    onnx: Annotated[Path | None, typer.Option(help="Write this ONNX file.")] = None,
    torch_export: Annotated[Path | None, typer.Option(help="Write this file of torch.export, .pt2.")] = None,
) -> None:
    """Write a network as ONNX or as a PyTorch program.

    From photographs (batch, height, width, 3), uint8 in RGB, of any number and size, to logits and masks of
    the same size, or a classifier's probabilities and CAMs: normalisation and resizing are inside, scales,
    mirror images and dense CRF are not. Each file is compared with PyTorch before it gets its name.
    """
    if onnx is None and torch_export is None:
        refuse("nothing to write: give --onnx FILE or --torch-export FILE")
    from wsss.stages.bundle.export import OPSET, write_onnx, write_torch

    try:
        if onnx is not None:
            write_onnx(onnx, bundle)
            typer.echo(f"wrote {onnx}: ONNX, opset {OPSET}")
        if torch_export is not None:
            write_torch(torch_export, bundle)
            typer.echo(f"wrote {torch_export}: torch.export")
    except (ValueError, OSError) as error:
        refuse(error)


@app.command()
def masks(
    folder: Annotated[Path, typer.Argument(metavar="MASKS", help="Folder of palette PNGs.")],
    out: Annotated[Path, typer.Option(help="Folder for labelme's files; a file for CVAT or COCO.")],
    labelme: Annotated[bool, typer.Option("--labelme", help="A JSON of polygons per image.")] = False,
    cvat: Annotated[bool, typer.Option("--cvat", help="CVAT for images 1.1: an XML of polygons.")] = False,
    coco: Annotated[bool, typer.Option("--coco", help="COCO instances: a JSON of run lengths.")] = False,
    polygons: Annotated[bool, typer.Option("--polygons", help="With --coco: polygons instead.")] = False,
    images: Annotated[Path | None, typer.Option(help="Folder of the photographs, if not listed.")] = None,
    classes: Annotated[Path | None, typer.Option(help="List of classes, if not MASKS/classes.txt.")] = None,
) -> None:
    """Hand masks to labelme, CVAT or tools that read COCO.

    MASKS is results/<study>/masks/<stage>/<split>, or masks/ of `wsss predict`. Corrected masks come back by
    `segmenter: {corrected: folder}`, see docs/correct.md.
    """
    if labelme + cvat + coco != 1:
        refuse("give one of --labelme, --cvat and --coco")
    from wsss.data.exchange.coco import write_coco
    from wsss.data.exchange.cvat import write_cvat
    from wsss.stages.exchange import class_list, listed_masks, write_all_labelme

    try:
        names = class_list(classes or folder / "classes.txt")
        listed = listed_masks(folder, images, len(names))
        if labelme:
            write_all_labelme(out, listed, names)
        elif cvat:
            write_cvat(out, ((mask.image.name, mask.read()) for mask in listed), names)
        else:
            write_coco(out, ((mask.image.name, mask.read()) for mask in listed), names, polygons=polygons)
    except (ValueError, OSError) as error:
        refuse(error)
    typer.echo(f"wrote {len(listed)} masks: {out}")
