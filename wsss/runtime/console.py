"""Progress, log lines and errors of a stage, in the terminal and in its log file.

Jobs that run at the same time share one terminal. One of them draws a progress bar on the last line; the
others, and every job whose stderr is not a terminal, write plain lines from time to time. Each line starts
with the name of its job. The log file gets all lines, and the traceback of an error. Beside it lies how far
the job is, which a live view shows in place of bars and lines.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

from wsss.runtime.locks import try_lock
from wsss.study.progress import Progress, clock_time, is_watched, remove_progress, write_progress

Item = TypeVar("Item")

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_STATES = 1.0
_CLEAR_LINE = "\r\x1b[K"


def configure_logging(log_path: str | Path | None, job: str = "", *, mode: str = "w") -> None:
    """Send log records and uncaught errors to `log_path` in full, and to stderr in short.

    Expected errors (subclasses of `ValueError` defined in wsss, about configuration, data set, artifact or
    training) appear on stderr as their message only; the log has the traceback.

    Args:
        log_path: Log file; None: no log file.
        job: Name of the job at the start of each line on stderr.
        mode: "w" writes the log file anew, "a" continues it.
    """
    handlers: list[logging.Handler] = [_Terminal(job)]
    if log_path is not None:
        handlers.append(_log_file(Path(log_path), mode))
        sys.excepthook = partial(_report_error, log_path)
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.captureWarnings(True)


def log_settings() -> tuple[str | None, str]:
    """Return log path and job with which a child process configures its logging to continue this one's."""
    files = [handler for handler in logging.getLogger().handlers if type(handler) is logging.FileHandler]
    return (files[0].baseFilename if files else None), _job()


def progress(
    iterable: Iterable[Item],
    total: int | None = None,
    unit: str = "images",
    label: str = "",
    *,
    note: Callable[[], str] = str,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield the items of `iterable` and show how many are done, the rate and the time left.

    A terminal shows a bar, unless another job has its bar there. Otherwise, and in the log, there is a line
    about every 10 seconds and one at the end. A live view learns of it each second, see
    `wsss.study.progress`.

    Args:
        iterable: The items.
        total: Number of items; None: the length of `iterable` if it has one.
        unit: Plural noun for the items.
        label: Description in front of the numbers.
        note: What to say behind the numbers, such as the loss; asked each time they are shown.
        clock: Time in seconds.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with _bar(total, unit, label) as bar:
        meter = _Meter(total, unit, label, note, clock, has_bar=bar is not None)
        with meter.shown():
            for item in iterable:
                yield item
                meter.advance()
                if bar is not None:
                    bar.set_postfix_str(note(), refresh=False)
                    bar.update()
    meter.finish()


class _Meter:
    """Counts items, and writes the plain lines and the file for a live view."""

    def __init__(
        self,
        total: int | None,
        unit: str,
        label: str,
        note: Callable[[], str],
        clock: Callable[[], float],
        has_bar: bool,
    ) -> None:
        self.total, self.unit, self.label, self.note, self.clock = total, unit, label, note, clock
        self.has_bar = has_bar
        self.done = 0
        self.start = self.last_line = self.last_state = clock()
        self.log, _ = log_settings()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the file for a live view as long as there is something to count."""
        self._write_state(0.0)
        try:
            yield
        finally:
            if self.log is not None:
                remove_progress(self.log)

    def advance(self) -> None:
        """Count one item, and write a line if 10 seconds have passed since the last one."""
        self.done += 1
        now = self.clock()
        if now - self.last_state >= _SECONDS_BETWEEN_STATES:
            self.last_state = now
            self._write_state(now - self.start)
        if now - self.last_line >= _SECONDS_BETWEEN_LINES and self.done != self.total:
            self.last_line = now
            self._write(self._state(now - self.start), on_terminal=not self.has_bar)

    def finish(self) -> None:
        """Write the last line; next to a bar only if the bar was visible for at least 10 seconds."""
        seconds = self.clock() - self.start
        seen = not self.has_bar or seconds >= _SECONDS_BETWEEN_LINES
        self._write(
            f"{self.done} {self.unit} in {clock_time(seconds)}{self._rate(seconds)}", on_terminal=seen
        )

    def _write_state(self, seconds: float) -> None:
        if self.log is not None:
            state = Progress(self.label, self.done, self.total, self.unit, seconds, self.note())
            write_progress(self.log, state)

    def _state(self, seconds: float) -> str:
        if self.total is None:
            return f"{self.done} {self.unit}{self._rate(seconds)}"
        left = clock_time(seconds / self.done * (self.total - self.done))
        share = self.done / self.total
        return f"{self.done}/{self.total} {self.unit} ({share:.0%}){self._rate(seconds)}, {left} left"

    def _rate(self, seconds: float) -> str:
        return f", {self.done / seconds:.3g} {self.unit}/s" if seconds > 0 else ""

    def _write(self, state: str, on_terminal: bool) -> None:
        state = ", ".join(filter(None, [state, self.note()]))
        text = f"{self.label}: {state}" if self.label else state
        logger.info("%s", text, extra={"on_terminal": on_terminal and not is_watched()})


class _Terminal(logging.StreamHandler[Any]):
    """Short lines on stderr that start with the job, above the bar if a job draws one."""

    def __init__(self, job: str) -> None:
        super().__init__(sys.stderr)
        self.job = job
        self.addFilter(lambda record: getattr(record, "on_terminal", True))

    def format(self, record: logging.LogRecord) -> str:
        """Format without time, level and traceback, which are in the log file."""
        line = f"{self.job}: {record.getMessage()}" if self.job else record.getMessage()
        return _CLEAR_LINE + line if self.stream.isatty() else line


def _log_file(path: Path, mode: str) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode=mode, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


def _report_error(
    log_path: str | Path, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Replacement of `sys.excepthook`: traceback to the log, one line to the terminal."""
    if issubclass(kind, KeyboardInterrupt):
        logger.error("interrupted")
    elif issubclass(kind, ValueError) and kind.__module__.startswith("wsss"):
        logger.error("%s", error, exc_info=(kind, error, trace))
    else:
        text = f"{kind.__name__}: {error} (traceback in {log_path})"
        logger.critical("%s", text, exc_info=(kind, error, trace))


def _job() -> str:
    return next(
        (handler.job for handler in logging.getLogger().handlers if isinstance(handler, _Terminal)), ""
    )


@contextmanager
def _bar(total: int | None, unit: str, label: str) -> Iterator[tqdm[Any] | None]:
    """Draw a bar if stderr is a terminal of known width on which no other job draws one."""
    if not sys.stderr.isatty() or not os.get_terminal_size(sys.stderr.fileno()).columns:
        yield None
        return
    with try_lock("bar" + os.ttyname(sys.stderr.fileno()).replace("/", "-")) as free:
        if not free:
            yield None
            return
        description = " ".join(part for part in (_job(), label) if part)
        with tqdm(total=total, desc=description, unit=f" {unit}", leave=False, dynamic_ncols=True) as bar:
            yield bar
