"""What happens in a run, for a view of it: one line of JSON per event, in `results/<study>/logs/run.jsonl`.

Snakemake tells its loggers what it does, with the events and fields that its interface for logger plugins
describes. This writes those down that a view needs: the jobs planned, started, finished and failed.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from wsss.planning.start import begin_run
from wsss.report.failure import hide_frames
from wsss.study.config import Study
from wsss.study.temporary import temporary_path

RUN_LOG = Path("logs", "run.jsonl")
"""Below the folder of a study's results."""


class RunLog(logging.Handler):
    """Writes the events of a run, from `begin` on; before, it only keeps in mind what is planned.

    Args:
        logger: Snakemake's.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._planned: dict[str, int] = {}
        self._file: TextIO | None = None
        for handler in list(logger.handlers):
            if isinstance(handler, RunLog):  # of a Snakefile that was read before
                logger.removeHandler(handler)
                handler.close()
        logger.addHandler(self)

    def begin(self, study: Study, *, elsewhere: bool) -> None:
        """Begin a run of a study: what comes before its first job, its log, and a tidy terminal.

        Args:
            study: whose run it is.
            elsewhere: whether jobs run on other machines.

        Raises:
            SystemExit: what the jobs need cannot be had.
        """
        begin_run(study, elsewhere=elsewhere)
        hide_frames(self._logger)
        path = Path(study.folder, RUN_LOG)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(path)
        self._file = temporary.open("w", encoding="utf-8", buffering=1)
        self._write("run", planned=self._planned, host=socket.gethostname(), pid=os.getpid())
        os.replace(temporary, path)

    def emit(self, record: logging.LogRecord) -> None:
        """Write an event, if it is one that a view needs. No event is worth to end a run for it."""
        with suppress(AttributeError, KeyError, TypeError, ValueError, OSError):
            for event, fields in _events(record):
                if event == "planned":
                    self._planned = dict(fields)
                else:
                    self._write(event, **fields)

    def close(self) -> None:
        """Write that the run has ended."""
        if self._file is not None:
            with suppress(OSError):
                self._write("end")
                self._file.close()
            self._file = None
        super().close()

    def _write(self, event: str, **fields: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"event": event, "time": time.time(), **fields}) + "\n")


def _events(record: logging.LogRecord) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The events of a record of Snakemake's, with the fields that are kept of them."""
    facts = record.__dict__
    match str(facts.get("event")):
        case "run_info":
            yield "planned", {name: int(count) for name, count in facts["stats"].items() if name != "total"}
        case "job_info":
            yield (
                "job",
                {
                    "id": int(facts["jobid"]),
                    "rule": str(facts["rule_name"]),
                    "wildcards": {name: str(value) for name, value in dict(facts["wildcards"]).items()},
                    "log": next((str(path) for path in facts["log"] or ()), None),
                },
            )
        case "job_finished":
            yield "finished", {"id": int(facts["job_id"])}
        case "job_error":
            yield "failed", {"id": int(facts["jobid"])}
        case "progress":
            yield "progress", {"done": int(facts["done"]), "total": int(facts["total"])}
