"""Verdicts as files: `health/<part>.json`, and `health.json` with those of all parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wsss.stages.health.alarms import Verdict
from wsss.study.invocation import Invocation


def part_health(verdicts: Iterable[Verdict], invocation: Invocation, results: Path) -> dict[str, Any]:
    """Content of `health/<part>.json`: what is wrong, and the figures of all checks that found nothing.

    Args:
        verdicts: of one part of the road.
        invocation: of the run, so that commands run as they stand.
        results: folder of the study's results.
    """
    found = [verdict.to_json(invocation, results) for verdict in verdicts]
    return {
        "invocation": invocation.to_json(),
        "findings": [verdict for verdict in found if verdict["severity"]],
        "silent": [verdict for verdict in found if not verdict["severity"]],
    }


def gathered(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Content of `health.json`: alarms before warnings, in the order of the road: the first causes others."""
    findings = [finding for part in parts for finding in part["findings"]]
    alarms = [finding for finding in findings if finding["severity"] == "alarm"]
    warnings = [finding for finding in findings if finding["severity"] == "warning"]
    return {
        "alarms": len(alarms),
        "warnings": len(warnings),
        "findings": [*alarms, *warnings],
        "silent": [verdict for part in parts for verdict in part["silent"]],
        "invocation": parts[-1]["invocation"],
    }
