"""`wsss branch`: a second study that shares what does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wsss.commands.arguments import refuse, study_of
from wsss.planning.command_line import workflow_folder, wsss_line

Origin = Annotated[Path, typer.Argument(metavar="STUDY", help="YAML file of the first study.")]
Name = Annotated[str, typer.Argument(metavar="NEW", help="Name of the second; its file is NEW.yaml.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="A changed key; may be given several times.")
]


def branch(study: Origin, name: Name, settings: Settings) -> None:
    """Make a second study that shares unchanged results.

    As in `wsss branch study.yaml beta8 --set random_walk.beta=8`. Before and after stand side by side:
    `wsss run` computes the rest of the second study, and `wsss compare` compares both.
    """
    import yaml

    from wsss.planning.branching import assignments, share
    from wsss.planning.yaml_text import block_style
    from wsss.results import write_text
    from wsss.study.config import ConfigError, merged, read_study
    from wsss.study.reading import base_file

    file = Path(f"{name.removesuffix('.yaml')}.yaml")
    if file.exists():
        refuse(f"{file}: is there already; choose another name, or remove it")
    old = study_of([study])
    try:
        changes = merged(assignments(settings), {"name": file.stem})
        new = read_study(base_file(workflow_folder()), study, overrides=changes)
        shared = share(old, new)
    except (ConfigError, OSError) as error:
        refuse(error)
    values: dict[str, Any] = yaml.safe_load(study.read_text(encoding="utf-8"))
    text = block_style(merged({"name": "", **values}, changes))
    write_text(file, f"# {study} with {', '.join(settings)}\n{text}")
    typer.echo(f"{file}: {study} with {', '.join(settings)}; its results are in {new.results}/{new.name}/")
    typer.echo(f"shared:     {', '.join(shared.kept) or 'nothing'}")
    typer.echo(f"to compute: {', '.join(shared.changed) or 'nothing of what is there'}")
    if old.dataset.kind in ("shapes", "coco"):
        drawn = Path(old.results, old.name, "dataset")
        typer.echo(f"The files drawn for the data set are still those in {drawn}/: keep that folder.")
    typer.echo(f"What computes the rest, and compares both:\n  {wsss_line('run', file)}")
    typer.echo(f"  {wsss_line('compare', study, file)}")
