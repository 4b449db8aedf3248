"""Shards: images spread over files by a stable hash of their id: a new image changes one file per stage."""

from __future__ import annotations

import csv
from hashlib import blake2b
from pathlib import Path

SUFFIXES = (".npz", ".npy", ".png")
"""Of other systems' files, one per image: CAMs and boundary maps."""


def shard_of(image_id: str, count: int) -> int:
    """The shard, 0 … count - 1, that holds an image; it depends on the id and the count alone.

    Raises:
        ValueError: If there is not at least one shard.
    """
    _check(count)
    return int.from_bytes(blake2b(image_id.encode(), digest_size=8).digest(), "big") % count


def shard_names(count: int) -> list[str]:
    """File names of the shards without extension, in order: `00`, `01`, …

    Raises:
        ValueError: If there is not at least one shard.
    """
    _check(count)
    return [f"{index:02d}" for index in range(count)]


def shard_files(folder: Path | str, table: Path | str) -> str:
    """Other systems' files of a shard's images, as their number and a digest of names, sizes and times.

    For Snakemake, which reruns a shard when one of them changes; as inputs, hundreds would stand in every
    message.

    Args:
        folder: Where the files lie, `<id>` with one of `SUFFIXES`.
        table: The shard's images, as `prepare_dataset` lists them; before it has, there are no files.
    """
    if not Path(table).is_file():
        return "0 files"
    with open(table, encoding="utf-8", newline="") as file:
        next(file)  # the classes
        ids = [row["id"] for row in csv.DictReader(file, delimiter="\t")]
    paths = [Path(folder, f"{image_id}{suffix}") for image_id in ids for suffix in SUFFIXES]
    states = [(path.name, path.stat()) for path in paths if path.is_file()]
    facts = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return f"{len(facts)} files, digest {blake2b(repr(facts).encode(), digest_size=8).hexdigest()}"


def _check(count: int) -> None:
    if count < 1:
        raise ValueError(f"number of shards: got {count}, expected 1 or more")
