"""`wsss summary`: scores, and where things are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wsss.commands.arguments import StudyOrResults, overlays_of, results_of
from wsss.planning.command_line import workflow_folder

if TYPE_CHECKING:
    from wsss.study.invocation import Invocation


def summary(
    study: StudyOrResults = None,
) -> None:
    """Print scores, and where masks and report are."""
    from wsss.report.summary import summary as summarize

    results = results_of(study)
    typer.echo(summarize(results, None if study and study.is_dir() else _invocation(study)))


def _invocation(study: Path | None) -> Invocation:
    """How Snakemake is started for a study."""
    from wsss.study.invocation import Invocation

    folder = workflow_folder()
    snakefile = None if folder == Path() else str(folder / "Snakefile")
    return Invocation(tuple(map(str, overlays_of([study] if study else None))), (), snakefile)
