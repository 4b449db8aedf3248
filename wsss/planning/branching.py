"""A second study that shares the unchanged results of a first one, with their provenance.

Large files are hard-linked where the file system can: nothing writes into a finished result, as a job first
removes its old outputs. Manifests and Snakemake's records are copied with the paths of the second study in
them, so that Snakemake and `wsss verify` see results of its own.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wsss.planning.records import records, write_record
from wsss.results import write_json
from wsss.study.config import ConfigError, Study, merged
from wsss.study.params import PARAMS, rule_params
from wsss.study.provenance import ArtifactManifest, manifests

COPIED_BELOW = 1_000_000
"""Bytes: smaller files are copied, larger ones linked."""

NAMING_THE_STUDY = {"gather_health"}
"""Rules whose results hold commands with the name of the study."""

Job = tuple[str, tuple[str, ...]]
"""A job's rule and logs, which no two jobs share."""


@dataclass(frozen=True)
class Shared:
    """The rules of which a branch has all results that its origin has, and those of which it lacks some."""

    kept: list[str]
    changed: list[str]


def assignments(settings: list[str]) -> dict[str, Any]:
    """Values by section from `section.key=value`; a value is YAML.

    Raises:
        ConfigError: Something is no such assignment.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not all(path.split(".")):
            raise ConfigError(f"--set {setting}: expected key=value, as in random_walk.beta=8")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {setting}: {text!r} is not YAML: {error}") from error
        for key in reversed(path.split(".")):
            value = {key: value}
        values = merged(values, value)
    return values


def share(old: Study, new: Study) -> Shared:
    """Give a new study all results of another that it would make in the same way.

    Raises:
        FileNotFoundError: There are no results of the other, or Snakemake's records of them are gone.
        FileExistsError: The new study has results already.
    """
    source, target = Path(old.results, old.name), Path(new.results, new.name)
    known = records(source)
    if not known:
        raise FileNotFoundError(f"{source}: no results that Snakemake remembers in {Path.cwd()}")
    if target.exists():
        raise FileExistsError(f"{target}: is there already; choose another name, or remove it")
    jobs, found = _jobs(known), _manifests(source)
    changed = _changed(jobs, found, new)
    kept = [output for job, outputs in jobs.items() if job not in changed for output in outputs]
    _Transfer(source, target, known, found, kept).run()
    rules = dict.fromkeys(job[0] for job in jobs)
    incomplete = {job[0] for job in changed}
    return Shared(
        [rule for rule in rules if rule not in incomplete], [*filter(incomplete.__contains__, rules)]
    )


def _jobs(known: Mapping[str, Mapping[str, Any]]) -> dict[Job, list[str]]:
    """Outputs that are still there by the job that made them, in the order in which the jobs ended."""
    jobs: dict[Job, list[str]] = defaultdict(list)
    for output, record in sorted(known.items(), key=lambda item: item[1].get("endtime") or 0):
        if Path(output).is_file():
            jobs[record["rule"], tuple(record["log"] or [output])].append(output)
    return jobs


def _manifests(source: Path) -> dict[str, ArtifactManifest | None]:
    return {str(artifact): manifest for artifact, manifest in manifests(source).items()}


def _changed(
    jobs: Mapping[Job, list[str]], found: Mapping[str, ArtifactManifest | None], new: Study
) -> set[Job]:
    """The jobs whose results the new study would make otherwise, or from results that it would."""
    made_by = {output: job for job, outputs in jobs.items() for output in outputs}
    changed: set[Job] = set()
    for job, outputs in jobs.items():  # those that come first made the inputs of the later ones
        made = [found[output] for output in outputs if output in found]
        named = job[0] in NAMING_THE_STUDY
        if named or not made or any(_differs(manifest, new, made_by, changed) for manifest in made):
            changed.add(job)
    return changed


def _differs(
    manifest: ArtifactManifest | None, new: Study, made_by: Mapping[str, Job], changed: set[Job]
) -> bool:
    if manifest is None or manifest.rule not in PARAMS:
        return True
    return manifest.config != rule_params(new, manifest.rule) or any(
        made_by.get(path) in changed for path in manifest.inputs
    )


class _Transfer:
    """Puts outputs, and what belongs to them, where the new study has them."""

    def __init__(
        self,
        source: Path,
        target: Path,
        known: Mapping[str, Mapping[str, Any]],
        found: Mapping[str, ArtifactManifest | None],
        kept: list[str],
    ) -> None:
        self.source, self.target = source, target
        self.known, self.found = known, found
        self.places = {output: self.place(output) for output in kept}
        logs = {log for output in kept for log in known[output]["log"] or ()}
        self.logs = {log: self.place(log) for log in sorted(logs)}

    def place(self, path: Path | str) -> str:
        """Where the new study has a file."""
        return str(self.target / Path(path).relative_to(self.source))

    def run(self) -> None:
        """Move everything; the records come last, so that an interrupted transfer counts as nothing."""
        for output in self.places:
            self.output(output)
        for log in self.logs:
            benchmark = self.source / "benchmarks" / Path(log).relative_to(self.source / "logs")
            for path in filter(Path.is_file, (Path(log), benchmark.with_suffix(".tsv"))):
                _copy(path, Path(self.place(path)))
        for output, place in self.places.items():
            write_record(place, self.record(self.known[output]))

    def output(self, output: str) -> None:
        """Move an output; a manifest gets the paths of the new study."""
        path, place = Path(output), Path(self.places[output])
        manifest = self.found.get(output.removesuffix(".json")) if output.endswith(".json") else None
        if manifest is None:
            _link(path, place)
        else:
            write_json(place, self.moved(manifest).to_json())
            os.utime(place, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        if path.name == "index.tsv":  # the masks that it lists are no outputs by themselves
            for png in path.parent.glob("*.png"):
                _link(png, place.with_name(png.name))

    def moved(self, manifest: ArtifactManifest) -> ArtifactManifest:
        """A manifest with the paths of the new study."""
        moved = {
            name: {self.places.get(path, path): digest for path, digest in getattr(manifest, name).items()}
            for name in ("inputs", "outputs")
        }
        return manifest.model_copy(update={"artifact": self.places[manifest.artifact], **moved})

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Snakemake's record with the paths of the new study."""
        checksums = record.get("input_checksums") or {}
        return {
            **record,
            "input": [self.places.get(path, path) for path in record["input"] or ()],
            "log": [self.logs[path] for path in record["log"] or ()],
            "input_checksums": {self.places.get(path, path): value for path, value in checksums.items()},
        }


def _link(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.stat().st_size >= COPIED_BELOW:
        with suppress(OSError):  # another file system, or one without links
            os.link(path, place)
            return
    _copy(path, place)


def _copy(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, place)
