"""Provenance: what made a result, and whether today's study and code would make the same.

Each artifact has a manifest beside it, `<artifact>.json`, with the digests of all that its job has read and
written. `wsss.study.integrity` compares them before a file is used, `wsss.study.verification` all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from wsss.study.code_digest import code_digest

__all__ = [
    "ArtifactManifest",
    "DamagedError",
    "code_digest",
    "content_digest",
    "file_digest",
    "file_digests",
    "library_versions",
    "manifests",
    "read_manifest",
    "stale",
]

LIBRARIES = (
    "torch", "torchvision", "timm", "segmentation-models-pytorch",
    "numpy", "scipy", "numba", "pillow", "h5py", "shapely",
)  # fmt: skip
"""Those whose version can change a result."""

_DIGEST = "digest"
_GROUP = 16
"""Files that a thread digests at a time."""
_OURS = (b'"artifact":', b'"created":', b'"peak_memory_mb":', b'"rule":')
"""Of these keys a manifest has at least two even when it is damaged; JSON files of others have none."""


class DamagedError(ValueError):
    """A file is not what it was when it was made; the message names it, and how to make it again."""


def file_digest(path: Path | str) -> str:
    """Digest of a file's bytes: blake2b, 128 bits, as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def content_digest(content: bytes) -> str:
    """The `file_digest` of a file with this content."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def file_digests(paths: Iterable[Path | str], workers: int = 1) -> dict[str, str]:
    """The `file_digest` of each file by its path, several at a time."""
    names = [str(path) for path in paths]
    groups = [names[start : start + _GROUP] for start in range(0, len(names), _GROUP)]
    with ThreadPoolExecutor(workers, thread_name_prefix="digest") as pool:
        digests = pool.map(lambda group: [*map(file_digest, group)], groups)
        return dict(zip(names, chain.from_iterable(digests), strict=True))


class ArtifactManifest(BaseModel):
    """What made an artifact.

    Attributes:
        artifact: Path of the artifact, as Snakemake knows it: relative to where it ran.
        rule: The rule that made it.
        config: The `section_params` of the rule.
        code: The `code_digest` of the rule's script.
        inputs: `file_digest` of each input, by path.
        outputs: `file_digest` by path of the artifact, and of all that its job wrote which has no manifest of
            its own. Empty in manifests from before digests were kept.
        settled: The values by key path of the keys of `config` that say `auto`.
        seed: Seed of random numbers, or None where there are none.
        versions: Versions of Python and of the libraries, by name.
        threads: Number of threads, on which the last digits of results depend; None where it is not known.
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
    outputs: dict[str, str] = {}
    settled: dict[str, Any] = {}
    seed: int | None
    versions: dict[str, str]
    threads: int | None = None
    device: str
    seconds: float
    peak_memory_mb: float
    created: str

    def to_json(self) -> dict[str, Any]:
        """The manifest as plain JSON values, with the digest of all others as `digest`."""
        return sealed(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The manifest that `to_json` gave. Raises `ValueError` if it is none, or was changed since."""
        manifest = cls.model_validate(unsealed(values))
        if manifest.outputs and _DIGEST not in values:
            raise ValueError("it has no digest of its own content")
        return manifest

    def files(self, path: Path) -> dict[Path, str]:
        """The digests of `outputs` by where the files lie if this manifest lies at a path.

        Results that were moved as a whole keep their places to each other.
        """
        home = os.path.dirname(self.artifact)
        return {
            Path(os.path.normpath(path.parent / os.path.relpath(output, home))): digest
            for output, digest in self.outputs.items()
        }


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON values, with the digest of all of them as `digest`."""
    return {**values, _DIGEST: _digest_of(values)}


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that `sealed` was given; without a digest, as they are.

    Raises:
        ValueError: They were changed since.
    """
    rest = {key: value for key, value in dict(values).items() if key != _DIGEST}
    if _DIGEST in values and values[_DIGEST] != _digest_of(rest):
        raise ValueError("damaged or changed, its content is not what its digest says")
    return rest


def _digest_of(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return content_digest(text.encode("utf-8", "surrogatepass"))


def library_versions() -> dict[str, str]:
    """The versions of Python and of `LIBRARIES` by name, of those that are installed."""
    return {"python": platform.python_version()} | dict(_installed())


def _installed() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


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
    return {path.with_suffix(""): _manifest_if_whole(path) for path in paths}


def _manifest_if_whole(path: Path) -> ArtifactManifest | None:
    try:
        return read_manifest(path)
    except DamagedError:
        return None


def read_manifest(path: Path) -> ArtifactManifest | None:
    """The manifest in a file; None for JSON that is something else.

    Raises:
        DamagedError: The file is no JSON, or a manifest that was changed since it was written.
    """
    content = path.read_bytes()
    expected = f"expected the manifest of {path.with_suffix('')}"
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedError(f"{path}: damaged, it is no JSON; {expected}") from None
    try:
        return ArtifactManifest.from_json(values)
    except (TypeError, ValueError):
        if sum(key in content for key in _OURS) > 1:
            raise DamagedError(f"{path}: damaged, its content is not what it was; {expected}") from None
        return None
