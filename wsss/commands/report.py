"""`wsss report`: a page with all figures and all images of a study, or of two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import refuse, results_of


def report(
    study: Annotated[
        Path | None,
        typer.Argument(help="A study: its YAML file, or results/<study>; without it, study.yaml."),
    ] = None,
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="A second study, to set beside the first.")
    ] = None,
) -> None:
    """Write the report to browse, or one of two studies.

    It is a page for a browser with scores, alarms, curves and all images, in results/<study>/report/. It
    reads what is there and computes nothing, so that it can be written while a study runs.
    """
    from wsss.data import DatasetError
    from wsss.planning.comparing import differing_keys
    from wsss.report.browser import write_pair, write_report

    folder = results_of(study)
    if not (folder / "dataset" / "manifest.tsv").is_file():
        refuse(
            f"{folder / 'dataset' / 'manifest.tsv'}: no such file; the list of images comes first in a run"
        )
    try:
        if other is None:
            page = write_report(folder)
        else:
            second = results_of(other)
            page = write_pair(folder, second, differing_keys(folder, second))
    except (DatasetError, ValueError, OSError) as error:
        refuse(error)
    typer.echo(f"wrote {page}")
