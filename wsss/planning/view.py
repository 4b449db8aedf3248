"""The view of a run in a terminal: what is done, what works now, how far it is, and what is to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wsss.planning.run_state import RunningJob, RunState, Stage
from wsss.study.progress import Progress, clock_time

WIDE_ENOUGH_FOR_BARS = 72
"""Columns of a terminal from which on each row has a bar."""
WIDE_ENOUGH_FOR_COUNTS = 90
"""Columns from which on it says how many items are done, beside their share."""
WIDE_ENOUGH_FOR_RATES = 112
"""Columns from which on it says the rate, too."""
WIDEST_BAR = 40
"""Columns of a bar, however wide the terminal is."""
LEAST_ROWS = 4
"""Rows for jobs, however low the terminal is."""
ROWS_AROUND = 8
"""Rows of the terminal that are not for jobs: head, lists, and a line or two above the view."""


class RunView:
    """Draws a state in as many columns and rows as the console has.

    Args:
        state: of a run; None before it has begun.
        name: of the study.
    """

    def __init__(self, state: RunState | None, name: str) -> None:
        self._state, self._name = state, name

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        if self._state is None:
            yield Text(f"{self._name}: reading the study …", style="bold")
            return
        width = options.max_width
        rows = max(LEAST_ROWS, (options.height or console.height) - ROWS_AROUND)
        yield Group(_head(self._state, self._name, width), *_body(self._state, width, rows))


def _head(state: RunState, name: str, width: int) -> RenderableType:
    of = f"{state.done} of {state.total} jobs" if state.total else "planning"
    passed = clock_time((state.end or state.now) - state.start)
    head = Table.grid(padding=(0, 2), expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", max_width=max(12, width // 3))
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True, justify="right")
    bar = _bar(state.done, max(state.total, 1))
    head.add_row(Text(name, style="bold"), of, bar, passed)
    return head


def _bar(done: float, total: float, width: int | None = None) -> ProgressBar:
    return ProgressBar(total, done, width, complete_style="cyan", finished_style="green")


def _body(state: RunState, width: int, rows: int) -> Iterator[RenderableType]:
    stages = state.stages()
    table = _table(width)
    lines = [line for stage in stages if stage.running for line in _lines(stage)]
    for line in lines[:rows]:
        table.add_row(*_cells(*line, width=width))
    if lines:
        yield table
    if len(lines) > rows:
        yield Text(f"  … and {len(lines) - rows} more at work", style="dim")
    if failed := [job for stage in stages for job in stage.failed]:
        yield _listed("failed", [_with_log(job) for job in failed], "bold red")
    if done := [_counted(stage) for stage in stages if stage.finished and not stage.running]:
        yield _listed("done", done, "green")
    if waiting := [_times(rule, count) for rule, count in state.waiting().items() if rule != "all"]:
        yield _listed("to come", waiting, "dim")


Line = tuple[str, float | None, Progress | None, float | None, str]
"""Name, share, progress, seconds left and note of a row."""


def _lines(stage: Stage) -> Iterator[Line]:
    """A row for a stage, and one for each of its jobs if there are several that say how far they are."""
    jobs = stage.running
    if stage.total == 1 or (stage.total is None and len(jobs) == 1):
        yield _line_of_job(jobs[0], jobs[0].name)
        return
    of = f"{stage.finished} of {stage.total}" if stage.total else f"{stage.finished} done"
    yield stage.rule, stage.share, None, stage.seconds_left, f"{of}, {len(jobs)} at work"
    for job in jobs:
        if job.progress is not None:
            yield _line_of_job(job, f"  {'/'.join(job.wildcards.values())}")


def _line_of_job(job: RunningJob, name: str) -> Line:
    progress = job.progress
    if progress is None:
        return name, None, None, None, ""
    return name, progress.share, progress, progress.seconds_left, progress.note


def _table(width: int) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(20, width // 3))
    if width >= WIDE_ENOUGH_FOR_BARS:
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    if width >= WIDE_ENOUGH_FOR_COUNTS:
        table.add_column(no_wrap=True, justify="right")
    if width >= WIDE_ENOUGH_FOR_RATES:
        table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _cells(
    name: str, share: float | None, progress: Progress | None, left: float | None, note: str, width: int
) -> list[RenderableType]:
    cells: list[RenderableType] = [Text(name, style="" if name.startswith(" ") else "bold")]
    if width >= WIDE_ENOUGH_FOR_BARS:
        bar = _bar(share or 0.0, 1.0, min(WIDEST_BAR, width // 4))
        cells.append(bar if share is not None else Text("at work", style="dim"))
    cells.append(Text(f"{share:.0%}" if share is not None else ""))
    if width >= WIDE_ENOUGH_FOR_COUNTS:
        cells.append(Text(_count(progress)))
    if width >= WIDE_ENOUGH_FOR_RATES:
        cells.append(Text(_rate(progress)))
    cells.append(Text(f"{clock_time(left)} left" if left is not None else "", style="cyan"))
    cells.append(Text(note))
    return cells


def _count(progress: Progress | None) -> str:
    if progress is None:
        return ""
    of = f"/{progress.total}" if progress.total is not None else ""
    return f"{progress.done}{of} {progress.unit}"


def _rate(progress: Progress | None) -> str:
    return f"{progress.rate:.3g} {progress.unit}/s" if progress and progress.rate else ""


def _listed(what: str, names: Sequence[str], style: str) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=8, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(what, style=style), Text(", ".join(names), style="dim" if style == "dim" else ""))
    return grid


def _counted(stage: Stage) -> str:
    if stage.finished == (stage.total or 1):
        return _times(stage.rule, stage.finished)
    return f"{stage.rule} {stage.finished}" + (f"/{stage.total}" if stage.total else "")


def _times(rule: str, count: int) -> str:
    return rule if count == 1 else f"{rule} {count}"


def _with_log(job: RunningJob) -> str:
    return f"{job.name} ({job.log})" if job.log else job.name
