"""`wsss watch`: the live view of a run that was started elsewhere."""

from __future__ import annotations

from pathlib import Path

from wsss.commands.arguments import StudyOrResults, refuse, study_of


def watch(study: StudyOrResults = None) -> None:
    """Show how far a run is that was started elsewhere.

    From another terminal, or of jobs on a cluster, whose folder of results is here. In a terminal until the
    run ends, or Ctrl-C, which leaves the run alone; otherwise once.
    """
    from rich.console import Console

    from wsss.planning.run_state import RunReader, has_died
    from wsss.planning.screen import has_screen
    from wsss.planning.screen import watch as follow
    from wsss.planning.view import RunView

    folder = (
        study if study is not None and study.is_dir() else Path(study_of([study] if study else None).folder)
    )
    console = Console()
    if has_screen():
        state = follow(folder, console)
    elif state := RunReader(folder).read():
        console.print(RunView(state, folder.name))
    if state is None:
        refuse(f"{folder}: no run has left its log there, expected {folder}/logs/run.jsonl")
    if has_died(state):
        refuse(f"{folder}: process {state.pid} no longer runs, and the run has not ended: it was killed")
