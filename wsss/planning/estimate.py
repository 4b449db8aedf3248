"""How long the jobs of a study will take here: as long as those that ran before, or as a short trial says."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from wsss.planning.speed import JOB, Speed, measure
from wsss.planning.work import Images, backbones, study_work
from wsss.study.config import Study
from wsss.study.inner import inner_studies, place_of
from wsss.study.params import PARAMS, rule_params
from wsss.study.provenance import manifests


def job_seconds(study: Study, images: Images) -> dict[str, float]:
    """Seconds of one job of each rule, by name of the rule.

    Jobs of this study that ran before with the same configuration count as they were; others are counted by
    their work, at the speed that a trial of a second or two shows.
    """
    speed = measure(backbones(study), study.precision, os.cpu_count() or 1)
    seconds = {rule: JOB for rule in PARAMS} | _seconds(study, images, speed)
    for inner in inner_studies(study):
        seconds |= {f"{inner.prefix}{rule}": JOB for rule in PARAMS} | {
            f"{inner.prefix}{rule}": time
            for rule, time in _seconds(inner.study, images, speed, study).items()
        }
    return seconds


def _seconds(study: Study, images: Images, speed: Speed, around: Study | None = None) -> dict[str, float]:
    work = study_work(study, images, around)
    return {rule: speed.seconds(found) / found.jobs for rule, found in work.items()} | _measured(study)


def total(planned: Mapping[str, int], seconds: Mapping[str, float]) -> float:
    """Seconds of all planned jobs, one after the other."""
    return sum(count * seconds.get(rule, JOB) for rule, count in planned.items())


def in_words(seconds: float) -> str:
    """A duration as people say it, with no more digits than it is known to."""
    if seconds < 15:
        return "a few seconds"
    if seconds < 90:
        return f"about {10 * round(seconds / 10)} seconds"
    minutes = seconds / 60
    if minutes < 90:
        return f"about {_rounded(minutes):.0f} minutes"
    hours = minutes / 60
    return f"about {_rounded(hours):.0f} hours" if hours < 48 else f"about {_rounded(hours / 24):.0f} days"


def _rounded(number: float) -> float:
    """Round to steps of a tenth or so: 7, 12, 25, 40."""
    step = 1 if number < 20 else 5
    return max(1, round(number / step) * step)


def _measured(study: Study) -> dict[str, float]:
    """Mean seconds of jobs that ran with the configuration that this study has for their rule."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    folder = Path(study.folder)
    for artifact, manifest in manifests(folder).items():
        if manifest is None or place_of(artifact.relative_to(folder).as_posix()):
            continue
        if manifest.rule in PARAMS and manifest.config == rule_params(study, manifest.rule):
            key = f"{manifest.created} {manifest.seconds}"  # of all artifacts that a job made
            found[manifest.rule][key] = manifest.seconds
    return {rule: fmean(times.values()) + JOB / 2 for rule, times in found.items()}
