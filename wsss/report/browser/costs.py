"""Time and memory of each rule, from the benchmarks that Snakemake writes."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from wsss.report.sections import Cell, Line, Section


class Job(NamedTuple):
    """What a finished job took: seconds of wall-clock time, and its largest resident memory in MiB."""

    rule: str
    seconds: float
    memory: float


def benchmarked_jobs(folder: Path, prefix: str = "") -> Iterator[Job]:
    """The jobs whose benchmarks are in a folder of results; what is not a number in them counts as 0.

    Args:
        folder: results of a study, or of one within it.
        prefix: of the names of its rules.
    """
    benchmarks = folder / "benchmarks"
    for file in sorted(benchmarks.rglob("*.tsv")):
        rule = prefix + Path(file.relative_to(benchmarks).parts[0]).stem
        with file.open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table, delimiter="\t"):
                yield Job(rule, _number(row.get("s")), _number(row.get("max_rss")))


def costs(jobs: Iterable[Job], colour: str) -> Section | None:
    """A table of time and memory per rule, the longest first; None without any job.

    Args:
        jobs: of a study.
        colour: of the bars of time.
    """
    by_rule: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        by_rule[job.rule].append(job)
    seconds = {rule: sum(job.seconds for job in found) for rule, found in by_rule.items()}
    if not by_rule:
        return None
    most = max(seconds.values()) or 1.0
    lines = [
        Line(
            (
                Cell(rule),
                Cell(f"{len(by_rule[rule]):,}"),
                Cell(duration(seconds[rule]), seconds[rule] / most, colour),
                Cell(duration(max(job.seconds for job in by_rule[rule]))),
                Cell(f"{max(job.memory for job in by_rule[rule]):,.0f}"),
            )
        )
        for rule in sorted(seconds, key=lambda rule: -seconds[rule])
    ]
    jobs_in_all, time = f"{sum(map(len, by_rule.values())):,}", duration(sum(seconds.values()))
    total = Line(tuple(map(Cell, ("all", jobs_in_all, time, "", ""))), "mean")
    head = ("rule", "jobs", "time", "longest job", "memory in MiB")
    note = "Wall-clock time of all jobs of a rule, some of which may have run at once; memory of the largest."
    return Section("", tuple(map(Cell, head)), (*lines, total), note=note)


def duration(seconds: float) -> str:
    """A time in words: `1 h 05 min`, `3 min 20 s`, `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{seconds:.{int(seconds < 10)}f} s"


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:  # a dash, where the job was too short to be measured
        return 0.0
