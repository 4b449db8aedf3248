from __future__ import annotations

from pathlib import Path

from wsss.data import ImageRow, Manifest
from wsss.study.sources import shard_files


def test_files_of_a_shard_are_those_of_its_images(tmp_path: Path):
    table, folder = tmp_path / "00.tsv", tmp_path / "cams"
    folder.mkdir()
    rows = (ImageRow(name, Path("x.jpg"), None, "train", False, (0,), 8, 8, "") for name in ("b", "a", "c"))
    Manifest(("cat", "dog"), tuple(rows)).write(table)
    assert shard_files(folder, table) == []
    for name in ("a.npy", "b.png", "b.npz", "a.txt", "of another shard.npy"):
        (folder / name).touch()
    assert shard_files(folder, table) == [str(folder / name) for name in ("b.npz", "b.png", "a.npy")]
