"""What commands share: the overlays of a study, the study that they describe, and how a command refuses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from wsss.planning.command_line import STUDY, workflow_folder, wsss_line

if TYPE_CHECKING:
    from wsss.study.config import Study

Overlays = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="STUDY",
        help="YAML file of a study, or several, of which later ones lie over earlier ones; without any, "
        "study.yaml.",
    ),
]

StudyOrResults = Annotated[
    Path | None,
    typer.Argument(help="A study: its YAML file, or results/<study>; without it, study.yaml."),
]


def overlays_of(overlays: list[Path] | None = None) -> list[Path]:
    """The overlays that were given, or `study.yaml` if it is here; end the command if one is missing."""
    for file in overlays or ():
        if not file.is_file():
            found = "a folder" if file.is_dir() else "no such file"
            refuse(f"{file}: {found}, expected the YAML file of a study")
    return overlays or ([STUDY] if STUDY.is_file() else [])


def study_of(overlays: list[Path] | None = None) -> Study:
    """Read the study of config.yaml and overlays; end the command if it is invalid, or if there is none."""
    from wsss.study.config import ConfigError, read_study
    from wsss.study.reading import BASE, base_file

    files = overlays_of(overlays)
    if not files and not Path(BASE).is_file():
        refuse(
            f"{Path.cwd()}: neither {STUDY} nor {BASE} is here. How to make a study of your photographs:\n"
            f"  {wsss_line('init', '--help')}"
        )
    try:
        return read_study(base_file(workflow_folder()), *files)
    except (ConfigError, OSError) as error:
        refuse(error)


def results_of(study: Path | None = None) -> Path:
    """The folder of the results of a study, which may be given as such; end the command if there are none."""
    if study is not None and study.is_dir():
        if not (study / "dataset").is_dir():
            refuse(f"{study}: no results of a study, expected results/<study> or its YAML file")
        return study
    files = overlays_of([study] if study else None)
    described = study_of(files)
    folder = Path(described.results, described.name)
    if not (folder / "dataset").is_dir():
        refuse(f"{folder}: no results yet; what makes them:\n  {wsss_line('run', *files)}")
    return folder


def refuse(reason: object) -> NoReturn:
    """End the command with exit status 2 and a message on stderr."""
    typer.echo(reason, err=True)
    raise typer.Exit(2)
