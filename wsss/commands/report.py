"""`wsss report`: a page with all figures and all images of a study, or of two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsss.commands.arguments import StudyOrResults, refuse, results_of


def report(
    study: StudyOrResults = None,
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
            _renew(folder)
        else:
            second = results_of(other)
            page = write_pair(folder, second, differing_keys(folder, second))
            for written in (folder, second):
                _renew(written)
    except (DatasetError, ValueError, OSError) as error:
        refuse(error)
    typer.echo(f"wrote {page}")


def _renew(folder: Path) -> None:
    """Put the digests of a page that was written anew into its manifest, if the run has left one."""
    from wsss.report.browser import PAGE
    from wsss.results import write_manifest
    from wsss.study.provenance import file_digests, read_manifest

    page = folder / PAGE
    file = Path(f"{page}.json")
    manifest = read_manifest(file) if file.is_file() else None
    if manifest is not None:
        digests = file_digests([path for path in manifest.outputs if Path(path).is_file()])
        write_manifest(page, manifest.model_copy(update={"outputs": manifest.outputs | digests}))
