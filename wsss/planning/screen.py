"""A live view of a run on the last lines of the terminal, below what the run says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from wsss.planning.run_state import RunReader, RunState, has_died
from wsss.planning.view import RunView
from wsss.study.progress import WATCHED

REFRESHES_PER_SECOND = 2
_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


def has_screen() -> bool:
    """Whether there is a terminal on which a view can be drawn, for what is said and for errors."""
    return sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def run_in_view(line: Sequence[str], results: Path) -> int:
    """Run Snakemake, with a live view below what it says; return its exit status as a shell counts it.

    Ctrl-C reaches Snakemake, which ends in good order; the view stays until then.

    Args:
        line: the command.
        results: the folder of the study's results.
    """
    console = Console(soft_wrap=True)
    reader = RunReader(results, since=time.time())
    environment = os.environ | {WATCHED: "1", "COLUMNS": str(console.width)}
    with (
        _left_to_the_child() as forward,
        subprocess.Popen(
            line,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
        ) as process,
    ):
        forward.process = process
        with _live(console, reader, results.name, transient=True):
            for said in process.stdout or ():
                console.print(Text.from_ansi(said.rstrip("\n")), soft_wrap=True)
        status = process.wait()
    return 128 - status if status < 0 else status


def watch(results: Path, console: Console) -> RunState | None:
    """Follow a run that somebody else has started, here or on another machine, until it ends or Ctrl-C.

    Returns:
        Its last state; None if no run has left a log.
    """
    reader = RunReader(results)
    state = reader.read()
    if state is None:
        return None
    with _live(console, reader, results.name, transient=False):
        while state is not None and state.end is None and not has_died(state):
            try:
                time.sleep(1 / REFRESHES_PER_SECOND)
            except KeyboardInterrupt:
                break
            state = reader.read()
    return state


def _live(console: Console, reader: RunReader, name: str, *, transient: bool) -> Live:
    return Live(
        console=console,
        get_renderable=lambda: RunView(reader.read(), name),
        refresh_per_second=REFRESHES_PER_SECOND,
        transient=transient,
        redirect_stdout=False,
        redirect_stderr=False,
    )


class _Forward:
    """Passes on what would end this process to the one that does the work."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.process is not None and number != signal.SIGINT:  # the terminal sends SIGINT to both
            self.process.send_signal(number)


@contextmanager
def _left_to_the_child() -> Iterator[_Forward]:
    forward = _Forward()
    numbers = (signal.SIGINT, *_FORWARDED)
    previous = {number: signal.signal(number, forward.handle) for number in numbers}
    try:
        yield forward
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
