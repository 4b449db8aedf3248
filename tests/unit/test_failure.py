"""The last words of a run that failed."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest

from wsss.report.failure import CONTINUE, NO_WORD, failure, hide_frames
from wsss.results import write_json

SNAKEMAKE = """\
Job 44: Train: classifier
RuleException:
CalledProcessError in file "/here/rules/trainings.smk", line 48:
Command 'set -euo pipefail;  python train_classifier.py' returned non-zero exit status 1.
[Wed Nov 25 21:50:57 2026]
Error in rule {rule}:
    message: None
    jobid: 44
    output: results/mine/classifier/checkpoint.pt
    log: {log} (check log file(s) for error details)
Removing output files of failed job since they might be corrupted:
results/mine/classifier/history.tsv
Exiting because a job execution failed. Look above for error messages
"""

JOB = """\
2026-11-25 21:50:43,143 INFO wsss.stages.training.run: Classifier: 2 steps of 4 from 8 images
2026-11-25 21:50:53,268 ERROR wsss.stages.job: stopped after 10.2 s
2026-11-25 21:50:53,269 ERROR wsss.runtime.console: 2 problems:
  a.jpg: no label
  b.jpg: no label
Traceback (most recent call last):
  File "loop.py", line 193, in fit
wsss.data.problems.DatasetError: 2 problems:
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    Path("results/mine/logs").mkdir(parents=True)
    return tmp_path


def said(job_log: str | None, rule: str = "train_classifier", snakemake: str = SNAKEMAKE) -> list[str]:
    log, own = Path(f"results/mine/logs/{rule}.log"), Path("snakemake.log")
    if job_log is not None:
        log.write_text(job_log)
    own.write_text(snakemake.format(rule=rule, log=log))
    return failure("results/mine", [own]).splitlines()


def test_the_error_comes_last_without_its_traceback() -> None:
    assert said(JOB) == [
        "",
        CONTINUE,
        "More in results/mine/logs/train_classifier.log",
        "train_classifier: 2 problems:",
        "  a.jpg: no label",
        "  b.jpg: no label",
    ]


def test_a_job_that_was_killed_is_told_from_one_with_an_error() -> None:
    lines = said(JOB.splitlines()[0] + "\n")
    assert lines[-2:] == ["More in results/mine/logs/train_classifier.log", f"train_classifier: {NO_WORD}"]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_log_that_is_missing_or_empty_is_not_named(content: str | None) -> None:
    assert said(content)[-2:] == ["More in snakemake.log", f"train_classifier: {NO_WORD}"]


def test_each_job_that_failed_has_a_line() -> None:
    Path("results/mine/logs/b.log").write_text(JOB.replace("2 problems", "1 problem"))
    second = SNAKEMAKE.format(rule="compute_cams", log="results/mine/logs/b.log")
    lines = said(JOB, snakemake=SNAKEMAKE + second + second)
    assert [line for line in lines if "problem" in line] == [
        "train_classifier: 2 problems:",
        "compute_cams: 1 problem:",
    ]


def test_without_a_failed_job_snakemakes_log_is_named() -> None:
    assert said(None, snakemake="interrupted\n")[-1] == "More in snakemake.log"
    assert failure("results/mine", []).splitlines() == ["", CONTINUE]


def test_alarms_of_finished_parts_come_first() -> None:
    table = Path("results/mine/dataset/train.tsv")
    table.parent.mkdir()
    table.touch()
    part = Path("results/mine/health/dataset.json")
    found = {
        "severity": "alarm",
        "title": "classes with few images",
        "figure": "cow 3",
        "meaning": "",
        "help": [],
    }
    write_json(part, {"findings": [found], "silent": []})
    write_json(f"{part}.json", {"inputs": {str(table): "digest"}})
    assert said(JOB)[:2] == ["ALARM  classes with few images: cow 3", ""]
    table.unlink()
    assert said(JOB)[:2] == ["", CONTINUE], (
        "of inputs that are gone or newer, it is the health of another run"
    )


# The frame around a failed job

FRAME: dict[str, Any] = {"event": "job_error", "rule_name": "train_classifier", "aux": {}}
CALL = """\
RuleException:
CalledProcessError in file "rules/trainings.smk", line 51:
Command 'python train_classifier.py' returned non-zero exit status 1."""


def shown(*records: tuple[str, dict[str, Any]], level: int = logging.INFO, **formatter: Any) -> list[str]:
    """What of Snakemake's errors reaches the terminal."""
    screen = io.StringIO()
    handler, logger = logging.StreamHandler(screen), logging.Logger("snakemake", level)
    handler.setFormatter(logging.Formatter())
    vars(handler.formatter).update(formatter)
    logger.addHandler(handler)
    hide_frames(logger)
    for message, extra in records:
        logger.error(message, extra=extra)
    return screen.getvalue().splitlines()


def test_the_frame_around_a_failed_job_is_not_on_the_terminal() -> None:
    assert shown((CALL, {}), ("job", FRAME), ("Exiting because a job execution failed. Look above", {})) == []


def test_other_errors_of_snakemake_are() -> None:
    missing = "MissingOutputException in rule train_classifier: results/mine/x.h5"
    assert shown((missing, {})) == [missing]
    assert shown(("a job on a node", FRAME | {"aux": {"external_jobid": 3}})) == ["a job on a node"]


def test_frames_can_be_asked_for() -> None:
    assert shown(("job", FRAME), level=logging.DEBUG) == ["job"]
    assert shown(("job", FRAME), show_failed_logs=True) == ["job"]


def test_the_log_of_snakemake_keeps_them(folder: Path) -> None:
    logger = logging.Logger("snakemake", logging.INFO)
    logger.addHandler(logging.FileHandler("snakemake.log"))
    hide_frames(logger)
    logger.error("job", extra=FRAME)
    assert Path("snakemake.log").read_text() == "job\n"
