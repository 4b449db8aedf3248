from __future__ import annotations

import os
from pathlib import Path

from wsss.data import ImageRow, Manifest
from wsss.study.sources import shard_files


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
