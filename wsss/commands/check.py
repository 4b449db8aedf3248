"""`wsss check`: configuration and data, what would be computed, and how long that takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wsss.commands.arguments import Overlays, overlays_of, refuse, study_of
from wsss.planning.command_line import (
    WorkflowFailed,
    planned_jobs,
    said_by,
    snakemake_line,
    workflow_folder,
    wsss_line,
)

if TYPE_CHECKING:
    from wsss.data import Manifest
    from wsss.study.config import Study


def check(overlays: Overlays = None) -> None:
    """Check configuration and data; list what would be computed.

    Reads all images and their labels, as a run does first (the rule prepare_dataset), and nothing else.
    """
    from wsss.data import Manifest
    from wsss.planning.recipe import downloads, recipe_lines
    from wsss.planning.work import Images
    from wsss.study.reading import base_file
    from wsss.study.words import near

    files = overlays_of(overlays)
    study = study_of(files)
    folder = Path(study.results, study.name)
    typer.echo(f"study {study.name}, results in {folder}/")
    _prepare_dataset(files, folder)
    manifest = Manifest.read(folder / "dataset" / "manifest.tsv")
    _say_data(manifest, own_splits=study.dataset.kind == "folder")
    if study.recipe:
        typer.echo("\n".join(["", *recipe_lines(study, Images.of(manifest))]))
    typer.echo(f"\nAll keys are explained in {near(base_file(workflow_folder()))}.")
    if downloaded := downloads(study):
        typer.echo(downloaded)
    _say_work(files, study, manifest)


def _prepare_dataset(files: list[Path], folder: Path) -> None:
    """Let Snakemake check the data; end the command if it finds mistakes."""
    from wsss.planning.locks import is_locked

    if is_locked() and (folder / "dataset" / "manifest.tsv").is_file():
        typer.echo("Snakemake is at work here, so the data is as it was when that started.")
        return
    try:
        said_by(snakemake_line(files, "prepare_dataset", cores="all"))
    except WorkflowFailed as error:
        refuse(_reasons() or error)


def _reasons() -> str:
    """Why the jobs of the last run failed, as their logs say it."""
    from wsss.report.failure import failed_jobs

    logs = sorted(Path(".snakemake", "log").glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
    return "\n".join(job.reason for log in logs[-1:] for job in failed_jobs(log))


def _say_data(manifest: Manifest, own_splits: bool) -> None:
    from wsss.planning.labels_survey import LabelSurvey

    names = manifest.class_names
    labels = {row.id: tuple(names[label] for label in row.labels) for row in manifest}
    survey = LabelSurvey(names, labels, {row.id: row.split for row in manifest})
    typer.echo("\n".join(survey.table()))
    for warning in survey.warnings(own_splits):
        typer.echo(f"warning: {warning}")


def _say_work(files: list[Path], study: Study, manifest: Manifest) -> None:
    from wsss.planning.estimate import in_words, job_seconds, total
    from wsss.planning.work import Images

    try:
        planned = planned_jobs(files)
    except WorkflowFailed as error:
        refuse(error)
    if not planned:
        typer.echo("\nAll results are there.")
        return
    seconds = job_seconds(study, Images.of(manifest))
    width = max(24, *map(len, planned))
    typer.echo(f"\n  {'to compute':{width}}{'jobs':>6}")
    for rule, count in planned.items():
        typer.echo(f"  {rule:{width}}{count:>6}  {in_words(count * seconds[rule])}")
    typer.echo(
        f"\nIn all {in_words(total(planned, seconds))} on this machine, if nothing else runs. What starts it:"
    )
    typer.echo(f"  {wsss_line('run', *files)}")
