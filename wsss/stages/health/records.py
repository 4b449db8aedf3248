"""Verdicts as files: `health/<part>.json`, and `health.json` with those of all parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsss.stages.health.alarms import Verdict
from wsss.study.invocation import Invocation


def part_health(verdicts: Iterable[Verdict], invocation: Invocation) -> dict[str, Any]:
    """Content of `health/<part>.json`: what is wrong, and the figures of all checks that found nothing.

    Args:
        verdicts: of one part of the road.
        invocation: of the run, for `wsss summary`. What helps is not completed with it: a later run may have
            another, and a branch of the study takes the file over.
    """
    found = [verdict.to_json() for verdict in verdicts]
    return {
        "invocation": invocation.to_json(),
        "findings": [verdict for verdict in found if verdict["severity"]],
        "silent": [verdict for verdict in found if not verdict["severity"]],
    }


def gathered(parts: Sequence[Mapping[str, Any]], invocation: Invocation, results: Path) -> dict[str, Any]:
    """Content of `health.json`: alarms before warnings, in the order of the road: the first causes others.

    Args:
        parts: contents of `health/<part>.json`.
        invocation: of the run, so that commands run as they stand.
        results: folder of the study's results.
    """
    findings = [
        {**finding, "help": [invocation.runnable(text, results) for text in finding["help"]]}
        for part in parts
        for finding in part["findings"]
    ]
    alarms = [finding for finding in findings if finding["severity"] == "alarm"]
    warnings = [finding for finding in findings if finding["severity"] == "warning"]
    return {
        "alarms": len(alarms),
        "warnings": len(warnings),
        "findings": [*alarms, *warnings],
        "silent": [verdict for part in parts for verdict in part["silent"]],
        "invocation": invocation.to_json(),
    }
