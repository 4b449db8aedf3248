"""Alarms and warnings in HTML, for the top of the report's pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from wsss.report.rendering import render


def health_notice(health: Mapping[str, Any]) -> Markup:
    """Lay out what is wrong with a study, or say that nothing was found; `health` is `health.json`."""
    findings = [
        {**finding, "help": [_with_code(text) for text in finding["help"]]} for finding in health["findings"]
    ]
    return render("health", findings=findings, checks=len(findings) + len(health["silent"]))


def findings_as_list(findings: Iterable[str]) -> list[str]:
    """Items of a list in reStructuredText, for the first page of the report, from those of the summary."""
    return [re.sub(r"([\\`*_|:<>])", r"\\\1", finding) for finding in findings]


def _with_code(text: str) -> Markup:
    """Set what stands between backticks as code."""
    parts = re.split(r"`([^`]*)`", text)
    pieces = (
        Markup("<code>{}</code>").format(part) if odd % 2 else Markup.escape(part)
        for odd, part in enumerate(parts)
    )
    return Markup("").join(pieces)
