"""`wsss init`: a study of somebody's photographs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsss.commands.arguments import refuse
from wsss.planning.command_line import STUDY, workflow_folder, wsss_line

if TYPE_CHECKING:
    from wsss.data.layouts import Labels, Layout
    from wsss.planning.work import Images

Photographs = Annotated[Path, typer.Argument(metavar="FOLDER", help="The photographs and their labels.")]
Out = Annotated[Path, typer.Option(help="File of the study; lists that it needs are written beside it.")]
Recipe = Annotated[
    str | None,
    typer.Option(
        help="Its settings, such as quick-cpu for a first look; without it cpu or gpu, as this machine has."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file of an earlier study.")]

LAYOUTS = {
    "table": "a table of labels",
    "folders": "one folder per class",
    "voc": "annotations of VOC",
    "coco": "annotations of COCO",
    "label_studio": "an export of Label Studio",
    "labelme": "annotations of labelme",
}


def init(folder: Photographs, out: Out = STUDY, recipe: Recipe = None, force: Force = False) -> None:
    """Look at a folder of photographs and write a study of it.

    Labels may be one folder per class, a CSV file, or the files of VOC, COCO, Label Studio or labelme.
    Images of none of the classes are welcome: with an empty label, or the label `background`.
    """
    from wsss.planning.new_study import images_of, new_study, survey_of, warnings
    from wsss.planning.photographs import look_at, sizes_of
    from wsss.results import write_text
    from wsss.study.config import recipe_names, recipe_settings, recipe_title

    again = wsss_line("init", folder, "--out", out, *(["--recipe", recipe] if recipe else []), "--force")
    if not force:
        _keep({out: None}, again)
    recipe = recipe or _recipe()
    try:
        recipe_settings(recipe)
    except ValueError as error:
        refuse(f"--recipe {recipe}: {error}")
    layout, labels = _read(folder)
    survey = survey_of(labels)
    photographs = look_at({image_id: labels.images[image_id] for image_id in labels.labels})
    if not photographs:
        refuse(f"{folder}: none of the {len(labels.images)} images can be read{_why_unread(labels)}")
    study = new_study(folder, layout, labels, out, recipe)
    if not force:
        _keep(study.lists, again)
    sizes = sizes_of(photographs.values())
    about = (
        f"{folder}: {len(survey.splits)} images with labels of {len(survey.class_names)} classes, "
        f"from {LAYOUTS[layout.kind]}; {sizes.in_words()}"
    )
    for path, text in study.lists.items():
        write_text(path, text)
    write_text(out, study.text(about, wsss_line("run", out)))
    typer.echo("\n".join([about, *survey.table()]))
    for warning in warnings(labels, survey, photographs):
        typer.echo(f"warning: {warning}")
    typer.echo(f"wrote {', '.join(map(str, (out, *study.lists)))}")
    others = [name for name in recipe_names() if name != recipe]
    typer.echo(f"recipe {recipe}: {recipe_title(recipe)} (--recipe; others: {', '.join(others)})")
    _say_what_comes_next(out, images_of(survey, photographs, _scored(layout, survey.ids("train"))))


def _keep(files: Mapping[Path, str | None], again: str) -> None:
    """End the command if a file is there that would become another one."""
    for path, text in files.items():
        if path.exists() and (text is None or path.read_bytes() != text.encode()):
            refuse(f"{path}: is there already. Name another file with --out, or overwrite it:\n  {again}")


def _read(folder: Path) -> tuple[Layout, Labels]:
    """Read the labels of a folder; end the command if that is not possible."""
    from wsss.data import DatasetError
    from wsss.data.layouts import detect, near_misses, read

    if not folder.is_dir():
        found = "not a folder" if folder.exists() else "no such folder"
        refuse(f"{folder}: {found}, expected a folder of photographs")
    layout = detect(folder)
    if layout is None:
        refuse(
            f"{folder}: found no images with labels, expected one folder of images per class, a CSV file of "
            "images and labels, or annotations of VOC, COCO, Label Studio or labelme"
            + "".join(f"\n  {sentence}" for sentence in near_misses(folder))
        )
    labels = read(layout)
    try:
        labels.problems.raise_any(str(folder))
    except DatasetError as error:
        refuse(error)
    if not labels.class_names:
        refuse(f"{folder}: {LAYOUTS[layout.kind]}, but no image has a label")
    return layout, labels


def _why_unread(labels: Labels) -> str:
    """Say what is wrong with the first image."""
    from wsss.data import read_image

    try:
        read_image(next(iter(labels.images.values())))
    except (ValueError, OSError) as error:
        return f", e.g. {error}"
    return ""


def _recipe() -> str:
    """The recipe for this machine."""
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def _scored(layout: Layout, train: list[str]) -> int:
    """About how many images of train have a mask."""
    if layout.masks is None:
        return 0
    return min(len(train), sum(path.is_file() for path in layout.masks.rglob("*")))


def _say_what_comes_next(out: Path, images: Images) -> None:
    from wsss.planning.estimate import in_words, job_seconds, total
    from wsss.planning.work import jobs_of_a_run
    from wsss.study.config import read_study
    from wsss.study.reading import base_file

    study = read_study(base_file(workflow_folder()), out)
    duration = in_words(total(jobs_of_a_run(study, images), job_seconds(study, images)))
    results = Path(study.results, study.name)
    if results.exists():
        typer.echo(
            f"warning: {results}/ is there already: a run replaces what differs there. A study with results "
            "of its own has another name: --out NAME.yaml"
        )
    typer.echo(f"\nWhat checks data and settings:\n  {wsss_line('check', out)}")
    typer.echo(
        f"What runs the study, {duration} on this machine, if nothing else runs:\n  {wsss_line('run', out)}"
    )
