"""Whether files are still what they were when they were made, before they are used.

The manifest of a job has the digests of what it wrote, and a list of many files, `index.tsv`, those of each.
Files of elsewhere have neither, and results from before digests were kept count as whole.
"""

from __future__ import annotations

import csv
import os
import shlex
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from wsss.study.cells import cell_text
from wsss.study.invocation import Invocation
from wsss.study.provenance import DamagedError, file_digests, read_manifest

INDEX = "index.tsv"
"""Name of a list of files beside it, or below its folder, with the columns `file` and `digest`."""


class Recorded(NamedTuple):
    """The digest that a file had when it was made.

    Attributes:
        digest: see `wsss.study.provenance.file_digest`.
        source: the manifest or list that has it.
        artifact: what to name so that Snakemake makes the file again.
    """

    digest: str
    source: Path
    artifact: Path


def require_intact(digests: Mapping[str, str]) -> None:
    """Compare the digests of files, by path, with those that they had when they were made.

    Raises:
        DamagedError: Naming each file that differs, or the manifest that is damaged, and what makes it again.
    """
    folders: dict[Path, Folder] = {}
    problems = []
    for path, digest in digests.items():
        try:
            known = _recorded(Path(os.path.normpath(path)), folders)
        except DamagedError as error:
            problems.append(str(error))
            continue
        if known and known.digest != digest:
            problems.append(
                f"{path}: damaged or changed, its content is not what {known.source} says. "
                f"{_again(known.artifact)}"
            )
    if problems:
        raise DamagedError("\n".join(dict.fromkeys(problems)))


def require_whole(*paths: Path | str) -> None:
    """Digest files, those that exist, and compare them as `require_intact` does. Raises `DamagedError`."""
    require_intact(file_digests(path for path in paths if Path(path).is_file()))


class Folder:
    """What the manifests and the list in a folder say of files there and in folders below."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all files and folders in it."""
        try:
            return frozenset(os.listdir(self.path))
        except OSError:
            return frozenset()

    def of_artifact(self, name: str) -> Recorded | None:
        """The digest of a file that has a manifest of its own."""
        path = self.path / name
        return self._of_manifest(path).get(path) if f"{name}.json" in self.names else None

    def require_manifest(self, name: str) -> None:
        """Raise `DamagedError` if a file is a manifest that was changed since it was written."""
        artifact = name.removesuffix(".json")
        if artifact != name and artifact in self.names:
            self._of_manifest(self.path / artifact)

    @cached_property
    def others(self) -> dict[Path, Recorded]:
        """The digests of files without a manifest of their own, by path."""
        artifacts = [name for name in self.names if f"{name}.json" in self.names]
        found: dict[Path, Recorded] = {}
        for name in sorted(artifacts):
            found |= self._of_manifest(self.path / name)
        return found

    @cached_property
    def listed(self) -> dict[Path, Recorded]:
        """The digests of files in the list, by path; what makes them again makes the list."""
        index = self.path / INDEX
        if INDEX not in self.names:
            return {}
        return {path: Recorded(digest, index, index) for path, digest in listed_files(index)}

    def _of_manifest(self, artifact: Path) -> dict[Path, Recorded]:
        source = Path(f"{artifact}.json")
        try:
            manifest = read_manifest(source)
        except DamagedError as error:
            raise DamagedError(f"{error}. {_again(artifact)}") from None
        files = manifest.files(artifact) if manifest else {}
        return {path: Recorded(digest, source, artifact) for path, digest in files.items()}


def listed_files(index: Path) -> Iterator[tuple[Path, str]]:
    """Yield path and digest of the files that a list names; nothing if it is no such list."""
    with index.open(encoding="utf-8", errors="replace", newline="") as file:
        table = csv.DictReader(file, delimiter="\t")
        if {"file", "digest"} <= set(table.fieldnames or ()):
            for row in table:
                if row["file"] and row["digest"]:
                    yield Path(os.path.normpath(index.parent / cell_text(row["file"]))), row["digest"]


def _again(artifact: Path) -> str:
    """Say what makes an artifact again, and all that is made from it."""
    invocation, option = Invocation.of_environment(), ("--forcerun", str(artifact))
    if invocation is None:
        return f"What makes it again, and what is made from it, is Snakemake's option {shlex.join(option)}"
    return f"What makes it again, and what is made from it:\n  {invocation.command(*option)}"


def _recorded(path: Path, folders: dict[Path, Folder]) -> Recorded | None:
    own, above = (folders.setdefault(folder, Folder(folder)) for folder in (path.parent, path.parent.parent))
    own.require_manifest(path.name)
    known = own.of_artifact(path.name)
    for folder in (own, above):
        known = known or folder.others.get(path) or _of_list(path, folder, folders)
    return known


def _of_list(path: Path, folder: Folder, folders: dict[Path, Folder]) -> Recorded | None:
    """The digest in a list, and what makes the list: itself, or an artifact in the folder above."""
    listed = folder.listed.get(path)
    if listed is None or f"{INDEX}.json" in folder.names:
        return listed
    above = folders.setdefault(folder.path.parent, Folder(folder.path.parent))
    maker = above.others.get(folder.path / INDEX)
    return listed._replace(artifact=maker.artifact) if maker else listed
