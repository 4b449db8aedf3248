"""The files that Snakemake watches."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from wsss.data import ImageRow, Manifest
from wsss.study.config import Folder
from wsss.study.sources import shard_files, source_images, source_tables


def table_of(folder: Path, *ids: str, labels: tuple[int, ...] = (0,)) -> Path:
    rows = (ImageRow(name, Path("x.jpg"), None, "train", False, labels, 8, 8, "") for name in ids)
    Manifest(("cat", "stop sign"), tuple(rows)).write(folder / "00.tsv")
    return folder / "00.tsv"


def test_files_of_a_shard_are_those_of_its_images(tmp_path: Path) -> None:
    table, folder = table_of(tmp_path, "b", "a", "c"), tmp_path / "cams"
    folder.mkdir()
    assert shard_files(folder, table) == []
    for name in ("a.npy", "b.png", "b.npz", "a.txt", "of another shard.npy"):
        (folder / name).touch()
    assert shard_files(folder, table) == [str(folder / name) for name in ("b.npz", "b.png", "a.npy")]


def test_a_png_per_label_is_among_them(tmp_path: Path) -> None:
    table, folder = table_of(tmp_path, "a", labels=(0, 1)), tmp_path / "cams"
    (folder / "a").mkdir(parents=True)
    for name in ("a_cat.png", "a_dog.png", "a/stop sign.png", "ab_cat.png"):
        (folder / name).touch()
    assert shard_files(folder, table) == [str(folder / name) for name in ("a_cat.png", "a/stop sign.png")]


def test_names_in_another_unicode_form_are_found(tmp_path: Path) -> None:
    table = table_of(tmp_path, normalize("NFC", "ü"))
    (tmp_path / normalize("NFD", "ü.npy")).touch()
    (found,) = shard_files(tmp_path, table)
    assert normalize("NFC", found) == normalize("NFC", str(tmp_path / "ü.npy"))


def test_braces_are_refused_before_snakemake_fills_them_in(tmp_path: Path) -> None:
    table = table_of(tmp_path, "a{x}")
    (tmp_path / "a{x}.npy").touch()
    with pytest.raises(ValueError, match=r"a\{x\}\.npy: allowed are names without \{ and \}"):
        shard_files(tmp_path, table)


def folder_data(root: Path, **keys: str) -> Folder:
    return Folder.model_validate({"kind": "folder", "root": str(root), "masks": "masks", **keys})


def test_links_to_nothing_and_files_in_subfolders_count(tmp_path: Path) -> None:
    (tmp_path / "images" / "day 1").mkdir(parents=True)
    (tmp_path / "images" / "gone.jpg").symlink_to("nowhere.jpg")
    before = source_images(folder_data(tmp_path))
    assert before.startswith("1 files, digest ")
    (tmp_path / "images" / "day 1" / "a.jpg").touch()
    assert source_images(folder_data(tmp_path)).startswith("2 files, digest ")
    (tmp_path / "images" / "day 1" / "a.jpg").unlink()
    assert source_images(folder_data(tmp_path)) == before


def test_tables_are_the_files_that_are_read(tmp_path: Path) -> None:
    for name in ("labels.csv", "classes.txt", "colours.txt", "folders", "voc"):
        (tmp_path / name).touch()
    with_colours = source_tables(folder_data(tmp_path, palette="colours.txt"))
    assert with_colours == [str(tmp_path / name) for name in ("classes.txt", "labels.csv", "colours.txt")]
    in_words = source_tables(folder_data(tmp_path, palette="voc", labels="folders"))
    assert in_words == [str(tmp_path / "classes.txt")]
