"""The command `wsss`: checks and prints results and configuration outside the workflow.

Packages are imported inside the commands, so that `wsss --help` needs no torch.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from wsss.study.config import Study

CONFIG = Path("config.yaml")
"""The configuration in the folder in which Snakemake runs."""

app = typer.Typer(
    help="Results and configuration of wsss studies. Run it where you run snakemake.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
submission = typer.Typer(help="Archives for the evaluation server of PASCAL VOC.", no_args_is_help=True)
configuration = typer.Typer(help="Show or regenerate the configuration.", invoke_without_command=True)
app.add_typer(submission, name="voc-submission")
app.add_typer(configuration, name="config")

Overlays = Annotated[
    list[Path] | None,
    typer.Argument(metavar="OVERLAY", help="YAML files over config.yaml, as for snakemake --configfile."),
]


@app.command()
def verify(overlays: Overlays = None) -> None:
    """List stale results, with the reasons.

    Exit status 1 if a result is stale, or if there are no results.
    """
    from wsss.study.provenance import manifests
    from wsss.study.provenance import verify as stale_artifacts

    study = _study(overlays)
    folder = Path(study.results, study.name)
    count, lines = len(manifests(folder)), stale_artifacts(folder, study)
    if not count:
        lines = [f"{folder}: no results yet"]
    typer.echo("\n".join(lines or [f"{folder}: all {count} artifacts are up to date"]))
    raise typer.Exit(int(bool(lines)))


@app.command()
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
        _refuse(f"{backbone}: {error}")
    from wsss.models.initial_weights import fitting
    from wsss.models.weights.reading import read_state

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    try:
        fitting(read_state(file), backbone, str(file), in_full=True)
    except ValueError as error:
        typer.echo(error)
        raise typer.Exit(1) from error


@app.command()
def tables(overlays: Overlays = None) -> None:
    """Print scores next to the published ones.

    The rule write_tables computes them.
    """
    study = _study(overlays)
    page = Path(study.results, study.name, "tables", "results.md")
    if not page.is_file():
        _refuse(f"{page}: no such file; `snakemake write_tables --cores all` writes it")
    typer.echo(page.read_text(encoding="utf-8"), nl=False)


@app.command()
def summary(
    results: Annotated[Path, typer.Argument(help="Folder of a study's results, results/<study>.")],
) -> None:
    """Print scores, and where masks and report are."""
    from wsss.report.summary import summary as summarize

    if not results.is_dir():
        _refuse(f"{results}: no such folder, expected results/<study>")
    typer.echo(summarize(results))


@submission.callback()
def voc_submission() -> None:
    """Archives for the evaluation server of PASCAL VOC.

    `snakemake voc_submission` makes them.
    """


@submission.command("check")
def check_submission(
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
        _refuse(error)
    found = problems_of(archive, sizes)
    typer.echo("\n".join(found or [f"{archive}: {len(sizes)} masks, as the server expects them"]))
    raise typer.Exit(int(bool(found)))


@configuration.callback()
def show(context: typer.Context) -> None:
    """Show or regenerate the configuration.

    Without a command: where it is, which keys differ from the defaults, and where results are.
    """
    if context.invoked_subcommand is not None:
        return
    from wsss.study.config.generated import CONFIG_SCHEMA, edited_keys

    study, keys = _study(), edited_keys(Path())
    state = f"edited: {', '.join(keys)}" if keys else "the defaults"
    typer.echo(f"configuration: {CONFIG.absolute()} ({state})")
    typer.echo(f"its schema:    {CONFIG_SCHEMA.absolute()}")
    typer.echo(f"results:       {Path(study.results, study.name).absolute()}")


@configuration.command()
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
        _refuse(
            f"{CONFIG}: kept, because it was edited: {', '.join(keys)}. Put these keys into a file of their "
            "own for `snakemake --configfile`, or overwrite config.yaml with --force"
        )
    from wsss.results import write_text

    for path in old:
        write_text(path, generated_files()[path])
        typer.echo(f"wrote {path}")
    if not old:
        typer.echo("config.yaml and its schema are up to date")


def _study(overlays: list[Path] | None = None) -> Study:
    """Read the study of config.yaml and overlays; end the command if it is invalid."""
    from wsss.study.config import ConfigError, read_study

    try:
        return read_study(CONFIG, *(overlays or ()))
    except (ConfigError, OSError) as error:
        _refuse(error)


def _refuse(reason: object) -> NoReturn:
    """End the command with exit status 2 and a message on stderr."""
    typer.echo(reason, err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    app(prog_name="wsss")
