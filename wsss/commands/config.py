"""`wsss config`: where the configuration is, what is edited in it, and writing it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse, study_of
from wsss.planning.command_line import STUDY, workflow_folder, wsss_line

CONFIG = Path("config.yaml")
"""The configuration in the folder in which Snakemake runs."""

app = typer.Typer(help="Show or regenerate the configuration.", invoke_without_command=True)


@app.callback()
def show(context: typer.Context) -> None:
    """Show or regenerate the configuration.

    Without a command: where it is, which keys differ from the defaults, and where the results of
    the study in this folder are.
    """
    if context.invoked_subcommand is not None:
        return
    from wsss.study.config.generated import CONFIG_SCHEMA, edited_keys
    from wsss.study.reading import base_file

    base = base_file(workflow_folder()).absolute()
    keys = edited_keys(base.parent)
    state = f"edited: {', '.join(keys)}" if keys else "the defaults"
    typer.echo(f"configuration: {base} ({state})")
    typer.echo(f"its schema:    {base.parent / CONFIG_SCHEMA}")
    if STUDY.is_file() or CONFIG.is_file():
        study = study_of()
        typer.echo(f"results:       {Path(study.results, study.name).absolute()}")


@app.command()
def write(
    check: Annotated[bool, typer.Option("--check", help="Only list the files that would change.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an edited config.yaml.")] = False,
) -> None:
    """Regenerate config.yaml and its schema.

    They come from the models in wsss/study/config. A config.yaml whose values were edited is kept, unless
    --force is given. With --check, exit status 1 if a file would change.
    """
    from wsss.study.config.generated import edited_keys, generated_files, outdated

    old = outdated(Path())
    if check:
        for path in old:
            typer.echo(f"{path}: differs from the output of `wsss config write`")
        raise typer.Exit(int(bool(old)))
    if CONFIG in old and not force and (keys := edited_keys(Path())):
        refuse(
            f"{CONFIG}: kept, because it was edited: {', '.join(keys)}. Put these keys into {STUDY}, "
            f"which lies over it, or overwrite it:\n  {wsss_line('config', 'write', '--force')}"
        )
    from wsss.results import write_text

    for path in old:
        write_text(path, generated_files()[path])
        typer.echo(f"wrote {path}")
    if not old:
        typer.echo("config.yaml and its schema are up to date")
