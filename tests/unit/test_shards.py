from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.datasets import ImageRow, Manifest
from wsss.shards import shard_files, shard_names, shard_of


def test_shard_of_is_the_documented_hash():
    # python -c 'from hashlib import blake2b; print(blake2b(b"2007_000032", digest_size=8).hexdigest())'
    assert shard_of("2007_000032", 16) == 0x251FB2725BD18491 % 16
    assert shard_of("Žluťoučký kůň", 7) == 0x64CE67DDBD72C99A % 7


@settings(deadline=None)
@given(st.text(), st.integers(1, 200))
def test_every_image_has_a_shard_that_exists(image_id: str, count: int):
    assert 0 <= shard_of(image_id, count) < count == len(shard_names(count))


def test_shards_are_of_similar_size():
    sizes = Counter(shard_of(f"image_{index}", 4) for index in range(2000))
    assert all(400 < sizes[shard] < 600 for shard in range(4))


def test_names_sort_in_order_and_keep_when_shards_are_added():
    assert shard_names(3) == ["00", "01", "02"]
    assert shard_names(101)[:3] == shard_names(3)
    assert shard_names(101)[-1] == "100"


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_shard(count: int):
    with pytest.raises(ValueError, match=f"got {count}, expected 1 or more"):
        shard_of("a", count)
    with pytest.raises(ValueError, match=f"got {count}, expected 1 or more"):
        shard_names(count)


def test_files_of_a_shard_are_known_by_name_size_and_time(tmp_path: Path):
    table, folder = tmp_path / "00.tsv", tmp_path / "cams"
    folder.mkdir()
    for name in ("a", "b", "of another shard"):
        (folder / f"{name}.npy").write_bytes(b"1")
    assert shard_files(folder, table) == "0 files"  # the data set is not prepared yet
    rows = (ImageRow(name, Path("x.jpg"), None, "train", False, (0,), 8, 8, "") for name in ("a", "b", "c"))
    Manifest(("cat", "dog"), tuple(rows)).write(table)
    seen = [shard_files(folder, table)]
    assert seen[0].startswith("2 files, digest ")
    (folder / "of another shard.npy").write_bytes(b"12")
    assert shard_files(folder, table) == seen[0]
    (folder / "b.npy").write_bytes(b"12")
    seen.append(shard_files(folder, table))
    os.utime(folder / "a.npy", ns=(0, 0))
    seen.append(shard_files(folder, table))
    (folder / "c.png").write_bytes(b"1")
    seen.append(shard_files(folder, table))
    (folder / "a.npy").rename(folder / "a.npz")
    seen.append(shard_files(folder, table))
    assert len(set(seen)) == 5
