"""`wsss predict`: masks and classes of photographs by a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse


def predict(
    model: Annotated[Path, typer.Argument(help="Bundle, such as results/<study>/bundle/segmenter.")],
    images: Annotated[list[str], typer.Argument(help="Photographs, folders of them, or 'patterns*.jpg'.")],
    out: Annotated[Path, typer.Option(help="Folder for masks/, overlays/ and classes.csv.")],
    overlays: Annotated[bool, typer.Option(help="Write overlays/, the masks over the photographs.")] = True,
    device: Annotated[str, typer.Option(help="auto: a GPU if there is one; cpu, cuda.")] = "auto",
) -> None:
    """Write masks and classes of photographs.

    A segmentation network writes palette PNGs, overlays, and each class's share of the pixels; a classifier
    the probability of each class. Exit status 1 if an image could not be read; the others are written.
    """
    from wsss.report.figures.gallery import overlay
    from wsss.runtime.console import configure_logging, progress
    from wsss.stages.bundle.model import AffinityModel, SegmentationModel, load_model
    from wsss.stages.masks import list_masks
    from wsss.stages.predict import PROBABLE, column_names, find_images, predict_files, write_classes

    configure_logging(None)
    try:
        found = find_images(images)
        loaded = load_model(model, device)
    except (ValueError, OSError) as error:
        refuse(error)
    if isinstance(loaded, AffinityModel):
        refuse(f"{model}: an AffinityNet gives no masks by itself, expected a segmenter or a classifier")
    segments = isinstance(loaded, SegmentationModel)
    shown = progress(predict_files(loaded, found, out, overlay if overlays else None), len(found))
    predicted = list(shown)
    write_classes(out / "classes.csv", predicted, column_names(loaded), 0 if segments else PROBABLE)
    if segments:
        read = {image.id: Path(image.file) for image in predicted if not image.problem}
        list_masks(out / "masks", read, loaded.class_names)
    problems = [image.problem for image in predicted if image.problem]
    written = "masks/, overlays/ and classes.csv" if segments and overlays else "classes.csv"
    written = "masks/ and classes.csv" if segments and not overlays else written
    typer.echo(f"{len(predicted) - len(problems)} images: {out}/ has {written}")
    for problem in problems:
        typer.echo(f"not read: {problem}", err=True)
    raise typer.Exit(int(bool(problems)))
