"""Provenance: what made a result, and whether today's study and code would make the same.

Each artifact has a manifest beside it, `<artifact>.json`. `wsss verify` compares the manifests of a study
with its present configuration, code and inputs, without Snakemake's hidden metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from wsss.study.code_digest import WORKFLOW, code_digest
from wsss.study.config import Study
from wsss.study.inner import place_of, studies_by_place
from wsss.study.modules import loaded_modules
from wsss.study.params import PARAMS, rule_params

__all__ = ["ArtifactManifest", "code_digest", "file_digest", "manifests", "stale", "verify"]


def file_digest(path: Path | str) -> str:
    """Digest of a file's bytes: blake2b, 128 bits, as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class ArtifactManifest(BaseModel):
    """What made an artifact.

    Attributes:
        artifact: Path of the artifact, as Snakemake knows it: relative to where it ran.
        rule: The rule that made it.
        config: The `section_params` of the rule.
        code: The `code_digest` of the rule's script.
        inputs: `file_digest` of each input, by path.
        settled: The values by key path of the keys of `config` that say `auto`.
        seed: Seed of random numbers, or None where there are none.
        versions: Versions of Python and of the libraries, by name.
        device: The processor or GPU.
        seconds: Wall-clock time.
        peak_memory_mb: Largest resident memory.
        created: When the artifact was finished, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    artifact: str
    rule: str
    config: dict[str, Any]
    code: dict[str, str]
    inputs: dict[str, str]
    settled: dict[str, Any] = {}
    seed: int | None
    versions: dict[str, str]
    device: str
    seconds: float
    peak_memory_mb: float
    created: str

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain JSON values."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The manifest that `to_json` gave. Raises `ValueError` if it is none."""
        return cls.model_validate(values)


def stale(
    manifest: ArtifactManifest, config: Mapping[str, Any], code: Mapping[str, str], inputs: Mapping[str, str]
) -> list[str]:
    """Why today's configuration, code and inputs of its rule would not make an artifact, if so."""
    return [
        *_differences("config", leaves(manifest.config), leaves(config), show_values=True),
        *_differences("code", manifest.code, code),
        *_differences("input", manifest.inputs, inputs),
    ]


def _differences(
    what: str, made: Mapping[str, Any], today: Mapping[str, Any], *, show_values: bool = False
) -> Iterator[str]:
    for key in {**made, **today}:
        if key not in today:
            yield f"{what} {key} is gone"
        elif key not in made:
            yield f"{what} {key} is new"
        elif made[key] != today[key]:
            yield f"{what} {key} " + (f"was {made[key]}, is {today[key]}" if show_values else "has changed")


def leaves(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings by key path, such as `random_walk.beta`."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def manifests(results_dir: Path | str) -> dict[Path, ArtifactManifest | None]:
    """The manifests below a folder by the path of their artifact; None for one that cannot be read.

    `00.npz.json` is a manifest, that of `00.npz`; `scores/cams.json` is none.
    """
    paths = [path for path in sorted(Path(results_dir).rglob("*.json")) if path.with_suffix("").suffix]
    return {path.with_suffix(""): _read_manifest(path) for path in paths}


def _read_manifest(path: Path) -> ArtifactManifest | None:
    try:
        return ArtifactManifest.from_json(json.loads(path.read_bytes()))
    except ValueError:
        return None


def verify(results_dir: Path | str, study: Study) -> list[str]:
    """What today's study, code and inputs would not make as it is: a line per artifact, with the reasons.

    An artifact that is made from a stale one is stale too. Paths of inputs are relative to the working
    directory, which must be the one in which Snakemake ran.
    """
    known, studies = manifests(results_dir), studies_by_place(study)
    found = {artifact.resolve(): manifest for artifact, manifest in known.items()}
    reasons = {}
    for path, manifest in known.items():
        place = place_of(path.relative_to(results_dir).as_posix())
        reasons[path.resolve()] = _reasons(path.resolve(), manifest, studies.get(place))
    _spread(reasons, {artifact: manifest.inputs for artifact, manifest in found.items() if manifest})
    return [f"{os.path.relpath(artifact)}: {'; '.join(why)}" for artifact, why in reasons.items() if why]


def _spread(reasons: dict[Path, list[str]], inputs: Mapping[Path, Iterable[str]]) -> None:
    """Give a reason to every artifact that has none but is made from one that has, to any depth."""
    spreading = True
    while spreading:
        spreading = False
        for artifact, paths in inputs.items():
            cause = next((path for path in paths if reasons.get(Path(path).resolve())), None)
            if cause and not reasons[artifact]:
                reasons[artifact] = [f"its input {cause} is stale"]
                spreading = True


def _reasons(artifact: Path, manifest: ArtifactManifest | None, study: Study | None) -> list[str]:
    if study is None:
        return ["of a round, or of full supervision, that the study no longer has"]
    if manifest is None:
        return ["its manifest cannot be read"]
    if not artifact.is_file():
        return ["is gone, its manifest is still there"]
    script = WORKFLOW / "workflow_scripts" / f"{manifest.rule}.py"
    if manifest.rule not in PARAMS or not script.is_file():
        return [f"rule {manifest.rule} no longer exists"]
    inputs = {path: file_digest(path) for path in manifest.inputs if Path(path).is_file()}
    code = code_digest(script, loaded_modules(study, manifest.rule))
    return stale(manifest, rule_params(study, manifest.rule), code, inputs)
