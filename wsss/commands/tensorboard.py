"""`wsss tensorboard`: the curves of the trainings for TensorBoard."""

from __future__ import annotations

import shlex
import time
from typing import Annotated

import typer

from wsss.commands.arguments import StudyOrResults, refuse, results_of

SECONDS_BETWEEN_LOOKS = 5.0

Follow = Annotated[bool, typer.Option("--follow", help="Go on as trainings do, until Ctrl-C.")]


def tensorboard(study: StudyOrResults = None, follow: Follow = False) -> None:
    """Write the curves of all trainings for TensorBoard.

    Event files in results/<study>/tensorboard/ come from the histories that trainings write anyway: nothing
    is computed again, and a training that was interrupted has each step once.
    """
    from wsss.report.tensorboard import EventFiles, open_writer, trainings
    from wsss.results import ArtifactError

    folder = results_of(study)
    if not trainings(folder) and not follow:
        refuse(f"{folder}: no training has begun, expected a history.tsv in the folder of a network")
    files = EventFiles(folder, open_writer)
    try:
        for name, points in files.update().items():
            typer.echo(f"{name}: {points} points")
        shown = shlex.join(["tensorboard", "--logdir", str(files.folder)])
        typer.echo(f"wrote {files.folder}/; what shows them:\n  {shown}")
        while follow:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            files.update()
    except (ArtifactError, ModuleNotFoundError) as error:
        refuse(error)
    except KeyboardInterrupt:
        pass
    finally:
        files.close()
