"""Whether the results of a study are what today's study, code and inputs would make, and still whole.

Snakemake's hidden metadata are not needed: the manifests say what was read and written.
"""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from wsss.study.code_digest import WORKFLOW, code_digest
from wsss.study.config import Study
from wsss.study.features import FOLDER
from wsss.study.inner import place_of, studies_by_place
from wsss.study.integrity import INDEX, listed_files
from wsss.study.modules import loaded_modules
from wsss.study.params import PARAMS, rule_params
from wsss.study.provenance import ArtifactManifest, file_digests, library_versions, manifests, stale

SHOWN = 3
"""Reasons of one kind that a line names."""

_WITHOUT_MANIFEST = ("logs", "benchmarks", ".resume", "tensorboard", FOLDER)
"""Folders of a study whose files have no manifest."""

_ASKED_FOR = "report/beside-*.html"
"""Pages that `wsss report A B` writes, of which no rule knows."""


@dataclass(frozen=True)
class Verified:
    """What `verify` has found.

    Attributes:
        artifacts: number of artifacts with a manifest.
        files: number of files whose content was compared.
        size: their bytes.
        stale: a line per artifact that is not as it should be, with the reasons.
        warnings: what may make other results, or could not be compared.
    """

    artifacts: int
    files: int
    size: int
    stale: list[str]
    warnings: list[str]


def verify(results_dir: Path | str, study: Study, workers: int | None = None) -> Verified:
    """Compare all that the manifests of a study name with what is there: every output and input by content.

    An artifact that is made from a stale one is stale too. Paths are relative to the working directory, which
    must be the one in which Snakemake ran.

    Args:
        results_dir: folder of the study's results.
        study: as it is configured today.
        workers: files that are read at the same time; None: as many as there are cores.
    """
    known = manifests(results_dir)
    whole = {artifact: manifest for artifact, manifest in known.items() if manifest}
    made = {artifact: manifest.files(artifact) for artifact, manifest in whole.items()}
    listed = {artifact: _listed(artifact, files) for artifact, files in made.items()}
    names = _named(whole.values(), chain(made.values(), listed.values()))
    present = [name for name in names if os.path.isfile(name)]
    found = file_digests(present, workers or os.cpu_count() or 1)

    today = _Today(studies_by_place(study))
    reasons: dict[Path, list[str]] = {}
    for artifact, manifest in known.items():
        place = place_of(artifact.relative_to(results_dir).as_posix())
        reasons[artifact.resolve()] = [
            *today.reasons(place, artifact, manifest, found),
            *_changed("output", made.get(artifact, {}), found),
            *_changed("file", listed.get(artifact, {}), found),
        ]
    _spread(reasons, {artifact.resolve(): manifest.inputs for artifact, manifest in whole.items()})
    lines = [f"{os.path.relpath(artifact)}: {'; '.join(why)}" for artifact, why in reasons.items() if why]
    warnings = [*_versions(whole.values()), *_threads(whole.values()), *_unprotected(whole)]
    unknown = _unknown(Path(results_dir), {*map(Path, present), *known})
    return Verified(len(known), len(present), sum(map(os.path.getsize, present)), lines, warnings + unknown)


def _listed(artifact: Path, files: Mapping[Path, str]) -> dict[Path, str]:
    """The digests of the files that lists among an artifact's files name, and of a data set's photographs."""
    found: dict[Path, str] = {}
    for path in files:
        if path.name == INDEX and path.is_file():
            found |= dict(listed_files(path))
    if artifact.parts[-2:] == ("dataset", "manifest.tsv") and artifact.is_file():
        found |= dict(_photographs(artifact))
    return found


def _photographs(table: Path) -> Iterator[tuple[Path, str]]:
    with table.open(encoding="utf-8", errors="replace", newline="") as file:
        next(file, None)  # the classes
        for row in csv.DictReader(file, delimiter="\t"):
            if row.get("image") and row.get("digest"):
                yield Path(row["image"]), row["digest"]


def _named(made: Iterable[ArtifactManifest], files: Iterable[Mapping[Path, str]]) -> list[str]:
    """The paths of all files that are compared, each once."""
    inputs = (path for manifest in made for path in manifest.inputs)
    return list(dict.fromkeys(chain(inputs, (str(path) for group in files for path in group))))


class _Today:
    """What today's studies and code would make artifacts from, worked out once per study and rule."""

    def __init__(self, studies: Mapping[str, Study]) -> None:
        self.studies = studies
        self.of_rule: dict[tuple[str, str], tuple[dict[str, Any], dict[str, str]] | None] = {}

    def reasons(
        self, place: str, artifact: Path, manifest: ArtifactManifest | None, found: Mapping[str, str]
    ) -> list[str]:
        """Why they would not make an artifact as it is, if so."""
        if place not in self.studies:
            return ["of a round, or of full supervision, that the study no longer has"]
        if manifest is None:
            return ["its manifest cannot be read"]
        if not artifact.is_file():
            return ["is gone, its manifest is still there"]
        key = place, manifest.rule
        if key not in self.of_rule:
            self.of_rule[key] = self._config_and_code(*key)
        today = self.of_rule[key]
        if today is None:
            return [f"rule {manifest.rule} no longer exists"]
        inputs = {path: found[path] for path in manifest.inputs if path in found}
        return stale(manifest, *today, inputs)

    def _config_and_code(self, place: str, rule: str) -> tuple[dict[str, Any], dict[str, str]] | None:
        script = WORKFLOW / "workflow_scripts" / f"{rule}.py"
        if rule not in PARAMS or not script.is_file():
            return None
        study = self.studies[place]
        return rule_params(study, rule), code_digest(script, loaded_modules(study, rule))


def _changed(what: str, digests: Mapping[Path, str], found: Mapping[str, str]) -> list[str]:
    """Which files are gone, or have another content than when they were made."""
    gone = [str(path) for path in digests if str(path) not in found]
    changed = [str(path) for path, digest in digests.items() if found.get(str(path), digest) != digest]
    return [
        f"{what} {', '.join(paths[:SHOWN])}{_and_more(paths)} {how}"
        for paths, how in ((gone, "is gone"), (changed, "is damaged or was changed"))
        if paths
    ]


def _and_more(paths: Sequence[str]) -> str:
    return f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""


def _spread(reasons: dict[Path, list[str]], inputs: Mapping[Path, Iterable[str]]) -> None:
    """Give a reason to every artifact that has none but is made from one that has, to any depth."""
    resolved = {
        artifact: {path: Path(path).resolve() for path in paths} for artifact, paths in inputs.items()
    }
    spreading = True
    while spreading:
        spreading = False
        for artifact, paths in resolved.items():
            cause = next((path for path, place in paths.items() if reasons.get(place)), None)
            if cause and not reasons[artifact]:
                reasons[artifact] = [f"its input {cause} is stale"]
                spreading = True


def _versions(made: Iterable[ArtifactManifest]) -> Iterator[str]:
    """Say which libraries made artifacts in another version than that of today."""
    today = library_versions()
    others: dict[str, Counter[str]] = defaultdict(Counter)
    for manifest in made:
        for name, used in manifest.versions.items():
            if used != today.get(name):
                others[name][used] += 1
    for name, counts in others.items():
        used = ", ".join(f"{version} for {count} artifacts" for version, count in sorted(counts.items()))
        yield f"{name} was {used}, is {today.get(name, 'not installed')}"


def _threads(made: Iterable[ArtifactManifest]) -> Iterator[str]:
    """Say which rules ran with different numbers of threads, or with more than there are cores here."""
    by_rule: dict[str, set[int]] = defaultdict(set)
    for manifest in made:
        if manifest.threads is not None:
            by_rule[manifest.rule].add(manifest.threads)
    cores = os.cpu_count() or 1
    for rule, counts in sorted(by_rule.items()):
        numbers = " and ".join(map(str, sorted(counts)))
        other = "other numbers give other last digits"
        if len(counts) > 1:
            yield f"{rule} ran with {numbers} threads: {other}"
        elif max(counts) > cores:
            yield f"{rule} ran with {numbers} threads, here are {cores} cores: {other}"


def _unprotected(made: Mapping[Path, ArtifactManifest]) -> Iterator[str]:
    old = [str(artifact) for artifact, manifest in made.items() if not manifest.outputs]
    if old:
        yield (
            f"the content of {', '.join(old[:SHOWN])}{_and_more(old)} cannot be compared: made before "
            "manifests had the digests of what was written"
        )


def _unknown(results: Path, known: set[Path]) -> list[str]:
    """Say which results no manifest names."""
    found: list[str] = []
    known = known | set(results.glob(_ASKED_FOR))
    for folder, folders, names in os.walk(results):
        folders[:] = sorted(name for name in folders if name not in _WITHOUT_MANIFEST)
        if Path(folder) == results:
            continue  # reports that people ask for
        paths = (Path(folder, name) for name in sorted(names) if not name.endswith(".part"))
        found += [str(path) for path in paths if path not in known and path.with_suffix("") not in known]
    return [f"no manifest names {', '.join(found[:SHOWN])}{_and_more(found)}"] if found else []
