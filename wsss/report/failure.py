"""The last words of a run that failed: which job, the log that has more, and the sentence that says why.

Like the summary this imports nothing heavy, because the Snakefile imports it in every job.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from wsss.report.summary import findings, wrapped
from wsss.study.progress import is_watched
from wsss.study.words import near

CONTINUE = "To continue, run the same command again: finished results are kept, trainings resume."
NO_WORD = "it ended without a word, as if killed: by hand, or by the system because memory ran out"

_FAILED = re.compile(r"^Error in (?:group \S+|rule (?P<rule>\w+)):\n(?P<facts>(?: {4,}.*\n)+)", re.M)
_LOG = re.compile(r"^ *log: (.+?)(?: \(check log file\(s\) for error details\))?$", re.M)
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (?P<level>[A-Z]+) \S+: (?P<message>.*)", re.M)
_NEXT = re.compile(r"^(?:\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ |Traceback \()", re.M)
_FRAME = re.compile(r"RuleException:\nCalledProcessError in file |Exiting because a job execution failed")
_STOPPED = re.compile(r"stopped after [\d.]+ s")


class Failure(NamedTuple):
    """A job that failed: its rule, its log if it wrote one, and why it failed."""

    rule: str
    log: Path | None
    reason: str


def hide_frames(logger: logging.Logger) -> None:
    """Keep what Snakemake puts around a failed job off the terminal: rule, job, files, call of the script.

    The job itself has said why it failed, and `failure` says it again at the end. Snakemake's log has all.
    What the terminal shows with `--verbose` or `--show-failed-logs`, and of jobs on a cluster, stays. A live
    view shows itself which jobs start and end, and only warnings and errors pass.

    Args:
        logger: Snakemake's, set up as the command line says.
    """
    for handler in logger.handlers:
        if not isinstance(handler, logging.StreamHandler) or type(handler) is logging.FileHandler:
            continue
        asked_for = getattr(handler.formatter, "show_failed_logs", False)
        if logger.getEffectiveLevel() > logging.DEBUG and not asked_for:
            handler.addFilter(_is_no_frame)
        if is_watched():
            handler.addFilter(_is_warning)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _is_no_frame(record: logging.LogRecord) -> bool:
    is_error_of_a_job = getattr(record, "event", None) == "job_error"
    names_a_job_of_a_cluster = bool(getattr(record, "aux", None))
    return not (is_error_of_a_job and not names_a_job_of_a_cluster) and not _FRAME.match(record.getMessage())


def failure(results: Path | str, snakemake_logs: Iterable[Path | str]) -> str:
    """Describe why a run of a study failed; what helps comes last.

    Args:
        results: folder of the study's results. Alarms of the parts that were finished come first: they may be
            the cause.
        snakemake_logs: of this run; the only ones that are named if no job wrote one.
    """
    own = [Path(log) for log in snakemake_logs]
    failed = [job for log in own for job in failed_jobs(log)]
    logs = [job.log for job in failed if job.log] or own
    return "\n".join(
        [
            *(line for finding in findings(results) for line in wrapped(finding)),
            "",
            CONTINUE,
            *(f"More in {near(log)}" for log in dict.fromkeys(logs)),
            *(f"{job.rule}: {job.reason}" for job in failed),
        ]
    )


def failed_jobs(snakemake_log: Path) -> Iterator[Failure]:
    """The jobs that Snakemake's log says have failed, each log once."""
    if not snakemake_log.is_file():
        return
    seen = set()
    for job in _FAILED.finditer(snakemake_log.read_text(encoding="utf-8", errors="replace")):
        named = _LOG.search(job["facts"])
        log = Path(named[1]) if named else None
        rule = job["rule"] or "group of jobs"
        if (rule, log) not in seen:
            seen.add((rule, log))
            yield _failure(rule, log)


def _failure(rule: str, log: Path | None) -> Failure:
    """A log that is missing or empty is not named."""
    text = log.read_text(encoding="utf-8", errors="replace") if log and log.is_file() else ""
    return Failure(rule, log if text.strip() else None, _last_error(text) or NO_WORD)


def _last_error(text: str) -> str:
    """The message of the last error in a job's log, without the traceback behind it."""
    errors = [
        record
        for record in _RECORD.finditer(text)
        if record["level"] in ("ERROR", "CRITICAL") and not _STOPPED.fullmatch(record["message"])
    ]
    if not errors:
        return ""
    start = errors[-1].start("message")
    end = _NEXT.search(text, start)
    return text[start : end.start() if end else len(text)].strip()
