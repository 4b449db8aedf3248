"""Shards: images spread over files by a stable hash of their id: a new image changes one file per stage."""

from __future__ import annotations

from hashlib import blake2b


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


def _check(count: int) -> None:
    if count < 1:
        raise ValueError(f"number of shards: got {count}, expected 1 or more")
