"""How far a job is, in a small file beside its log, for who watches the run in a terminal or from elsewhere.

The file is there while the job counts something, so that a view of the run needs neither the job's process
nor its machine, only the folder of results.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from wsss.study.temporary import temporary_path

WATCHED = "WSSS_WATCHED"
"""Variable of the environment that a live view sets for the jobs whose progress it shows."""


class Progress(NamedTuple):
    """What a job has counted.

    Attributes:
        label: what is counted, such as the name of a network; may be empty.
        done: number of items.
        total: number of all items; None if nobody knows.
        unit: plural noun for the items.
        seconds: since the first.
        note: more, such as the loss; may be empty.
    """

    label: str
    done: int
    total: int | None
    unit: str
    seconds: float
    note: str = ""

    @property
    def rate(self) -> float | None:
        """Items per second; None before the first."""
        return self.done / self.seconds if self.done and self.seconds > 0 else None

    @property
    def share(self) -> float | None:
        """How much of the work is done, in [0, 1]; None if nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the last item at the rate so far; None if nobody knows."""
        if not self.total or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate


def is_watched() -> bool:
    """Whether a live view shows the progress of this process."""
    return bool(os.environ.get(WATCHED))


def progress_file(log: Path | str) -> Path:
    """The file of the progress of the job that writes a log."""
    return Path(f"{log}.progress.json")


def write_progress(log: Path | str, progress: Progress) -> None:
    """Write how far a job is. A disk that takes no more is no reason to end it."""
    path = progress_file(log)
    temporary = temporary_path(path)
    with suppress(OSError):
        temporary.write_text(json.dumps(progress._asdict()), encoding="utf-8")
        os.replace(temporary, path)


def remove_progress(log: Path | str) -> None:
    """Say that a job counts nothing any more."""
    with suppress(OSError):
        progress_file(log).unlink()


def read_progress(log: Path | str) -> Progress | None:
    """Read how far a job is; None if it counts nothing at the moment."""
    try:
        found = json.loads(progress_file(log).read_text(encoding="utf-8"))
        total = found["total"]
        return Progress(
            str(found["label"]),
            int(found["done"]),
            None if total is None else int(total),
            str(found["unit"]),
            float(found["seconds"]),
            str(found["note"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def clock_time(seconds: float) -> str:
    """Format a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
