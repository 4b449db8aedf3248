"""The state of a run, read from the log of its events and the progress that its jobs write."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wsss.planning.run_log import RUN_LOG
from wsss.study.progress import Progress, read_progress

Status = Literal["running", "finished", "failed"]


@dataclass
class RunningJob:
    """A job that was started.

    Attributes:
        rule: its rule, with the prefix of a later round.
        wildcards: by name.
        log: its log file, if it has one.
        start, end: seconds since the epoch; `end` is None while it runs.
        status: what became of it.
        progress: how far it is, if it counts something.
    """

    rule: str
    wildcards: Mapping[str, str]
    log: str | None
    start: float
    end: float | None = None
    status: Status = "running"
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """The rule and its wildcards."""
        return " ".join([self.rule, "/".join(self.wildcards.values())]).strip()


@dataclass
class Stage:
    """All jobs of a rule.

    Attributes:
        rule: its name.
        total: number of its jobs, those to come included; None if nobody knows yet.
        finished: number of finished ones.
        running, failed: the jobs.
        mean_seconds: how long a finished one took; None without any.
    """

    rule: str
    total: int | None
    finished: int = 0
    running: list[RunningJob] = field(default_factory=list)
    failed: list[RunningJob] = field(default_factory=list)
    mean_seconds: float | None = None

    @property
    def share(self) -> float | None:
        """How much of it is done, in [0, 1]; progress of running jobs counts. None if nobody knows."""
        if not self.total:
            return None
        parts = sum((job.progress and job.progress.share) or 0.0 for job in self.running)
        return min(1.0, (self.finished + parts) / self.total)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until its last job ends, if as many run at a time as now; None if nobody knows."""
        if len(self.running) == 1 == self.total:
            return self.running[0].progress.seconds_left if self.running[0].progress else None
        if self.mean_seconds is None or self.share is None or self.total is None or not self.running:
            return None
        return (1 - self.share) * self.total * self.mean_seconds / len(self.running)


@dataclass
class RunState:
    """What is known of a run.

    Attributes:
        results: the folder of the study's results.
        start, end: seconds since the epoch; `end` is None while it runs.
        now: the same for the time of this state.
        done, total: number of finished jobs, and of all as far as they are planned; total 0: not known.
        planned: number of jobs by rule as it was planned first.
        jobs: those that were started, by Snakemake's number, in the order of their start.
        host, pid: the process of Snakemake.
    """

    results: Path
    start: float = 0.0
    end: float | None = None
    now: float = 0.0
    done: int = 0
    total: int = 0
    planned: dict[str, int] = field(default_factory=dict)
    jobs: dict[int, RunningJob] = field(default_factory=dict)
    host: str = ""
    pid: int = 0

    def stages(self) -> list[Stage]:
        """The rules of which a job was started, in that order."""
        found: dict[str, list[RunningJob]] = {}
        for job in self.jobs.values():
            found.setdefault(job.rule, []).append(job)
        return [self._stage(rule, jobs) for rule, jobs in found.items()]

    def waiting(self) -> dict[str, int]:
        """Number of planned jobs of rules of which none was started; empty before the data set is read."""
        if not self._plan_is_whole:
            return {}
        started = {job.rule for job in self.jobs.values()}
        return {rule: count for rule, count in self.planned.items() if rule not in started}

    @property
    def _plan_is_whole(self) -> bool:
        """What is computed of the images is planned only when it is known which images there are."""
        return bool(self.planned) and "prepare_dataset" not in self.planned

    def _stage(self, rule: str, jobs: list[RunningJob]) -> Stage:
        finished = [job for job in jobs if job.status == "finished"]
        times = [job.end - job.start for job in finished if job.end is not None]
        return Stage(
            rule,
            self._total(rule, jobs),
            len(finished),
            [job for job in jobs if job.status == "running"],
            [job for job in jobs if job.status == "failed"],
            sum(times) / len(times) if times else None,
        )

    def _total(self, rule: str, jobs: list[RunningJob]) -> int | None:
        if self._plan_is_whole and rule in self.planned:
            return max(self.planned[rule], len(jobs))
        splits = {job.wildcards.get("split", "train") for job in jobs}
        match sorted(jobs[0].wildcards):
            case []:
                return 1
            case ["shard", "split"] | ["shard"] if not rule.startswith("predict"):
                return max(len(jobs), sum(self._shards(split) for split in splits))
        return None

    def _shards(self, split: str) -> int:
        """Number of the shards of a split; those of images that are as they were may not run again."""
        return len(list(self.results.joinpath("dataset", split).glob("*.tsv")))


class RunReader:
    """Follows a run from the files that it writes.

    Args:
        results: the folder of a study's results.
        since: seconds since the epoch; a run that began before is not this one.
    """

    def __init__(self, results: Path, since: float = 0.0) -> None:
        self._results, self._since = results, since
        self._inode, self._offset = 0, 0
        self._state = RunState(results)

    def read(self) -> RunState | None:
        """Return the present state; None before the run begins."""
        self._read_events()
        if not self._state.start or self._state.start < self._since:
            return None
        self._state.now = time.time()
        for job in self._state.jobs.values():
            job.progress = read_progress(job.log) if job.status == "running" and job.log else None
        return self._state

    def _read_events(self) -> None:
        try:
            with self._results.joinpath(RUN_LOG).open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:  # another run has begun
                    self._inode, self._offset, self._state = inode, 0, RunState(self._results)
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]  # the last line may be half written
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                _apply(self._state, json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # of another version, or damaged


def _apply(state: RunState, event: Mapping[str, Any]) -> None:
    moment = float(event["time"])
    match event["event"]:
        case "run":
            state.start, state.host, state.pid = moment, str(event["host"]), int(event["pid"])
            state.planned = {str(rule): int(count) for rule, count in event["planned"].items()}
            state.total = sum(state.planned.values())
        case "job":
            job = RunningJob(str(event["rule"]), dict(event["wildcards"]), event["log"], moment)
            state.jobs[int(event["id"])] = job
        case "finished" | "failed":
            ended = state.jobs[int(event["id"])]
            ended.end, ended.status = moment, event["event"]
        case "progress":
            state.done, state.total = int(event["done"]), int(event["total"])
        case "end":
            state.end = moment


def has_died(state: RunState) -> bool:
    """Whether the process of a run that did not end is no more; False if it ran on another machine."""
    if state.end is not None or state.host != socket.gethostname():
        return False
    try:
        os.kill(state.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
