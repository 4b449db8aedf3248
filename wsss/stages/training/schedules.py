"""Learning rates as functions of the step."""

from __future__ import annotations

import math

from wsss.study.config import Schedule


def rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """Return the factor on the learning rates in step ``step`` (from 0) of ``steps``.

    During the warm-up, a share of the steps, it rises linearly: 1/(w+1), 2/(w+1), …, w/(w+1) in its w steps.
    From there it falls from 1, over the remaining steps: polynomial, to 0, as ``(1 - p) ** power``, or along
    half a cosine to ``final``, p being the share of the remaining steps that are done.
    """
    warmup = min(round(schedule.warmup * steps), steps - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / (steps - warmup)
    if schedule.kind == "cosine":
        return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * done)) / 2
    return float((1 - done) ** schedule.power)
