"""Where results come from: the command that makes them again, versions, devices, dates and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wsss.study.inner import place_of
from wsss.study.invocation import Invocation
from wsss.study.provenance import ArtifactManifest, leaves, manifests


class Origins(NamedTuple):
    """What made a study's results.

    Attributes:
        command: of Snakemake, that makes them again.
        facts: versions, devices, seeds and dates, by name.
        settings: values of the configuration by key, numbers in place of `auto`, by rule.
        artifacts: how many results have a manifest.
    """

    command: str
    facts: dict[str, str]
    settings: dict[str, dict[str, Any]]
    artifacts: int


def origins(folder: Path, health: Mapping[str, Any] | None) -> Origins:
    """Read the manifests of a study's results; those of later rounds count for versions and dates alone.

    Args:
        folder: results of the study.
        health: the content of `health.json`, which knows how Snakemake was started.
    """
    found = {path: manifest for path, manifest in manifests(folder).items() if manifest}
    invocation = Invocation.from_json(health["invocation"]) if health else Invocation()
    settings: dict[str, dict[str, Any]] = {}
    for path, manifest in found.items():
        if not place_of(path.relative_to(folder).as_posix()):
            settings.setdefault(manifest.rule, {}).update(leaves(manifest.config) | manifest.settled)
    return Origins(
        invocation.command(),
        _facts(found.values()),
        {rule: values for rule, values in sorted(settings.items()) if values},
        len(found),
    )


def _facts(found: Iterable[ArtifactManifest]) -> dict[str, str]:
    known = list(found)
    if not known:
        return {}
    dates = sorted(manifest.created for manifest in known)
    seeds = {str(manifest.seed) for manifest in known if manifest.seed is not None}
    versions: dict[str, set[str]] = {}
    for manifest in known:
        for name, version in manifest.versions.items():
            versions.setdefault(name, set()).add(version)
    return {
        "computed": _span(dates[0], dates[-1]),
        "on": ", ".join(sorted({manifest.device for manifest in known})),
        **({"seed": ", ".join(sorted(seeds))} if seeds else {}),
        **{name: ", ".join(sorted(found)) for name, found in sorted(versions.items())},
    }


def _span(first: str, last: str) -> str:
    """Two times in ISO 8601, to the minute, in UTC as the manifests have them."""
    start, end = (time[:16].replace("T", " ") for time in (first, last))
    return f"{start} UTC" if start == end else f"{start} to {end} UTC"
