"""The table of a data set's images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.data import DatasetError, ImageRow, Manifest
from wsss.study.shards import shard_of

ROW = ImageRow(
    id="2007_000032",
    image=Path("photos/2007_000032.jpg"),
    mask=Path("masks/2007_000032.png"),
    split="train",
    scored=True,
    labels=(0, 2),
    height=281,
    width=500,
    digest="00ff",
)
CLASSES = ("cat", "cow", "dog")

file_names = st.text(
    st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
rows = st.builds(
    ImageRow,
    id=file_names,
    image=file_names.map(lambda name: Path("some folder", name)),
    mask=st.none() | file_names.map(lambda name: Path("/masks", name)),
    split=st.sampled_from(["train", "val"]),
    scored=st.booleans(),
    labels=st.sets(st.integers(0, 253)).map(lambda labels: tuple(sorted(labels))),
    height=st.integers(1, 10_000),
    width=st.integers(1, 10_000),
    digest=st.text("0123456789abcdef", min_size=32, max_size=32),
)
class_names = st.text(st.characters(exclude_categories=["Zl", "Zp", "C"]), min_size=1)
manifests = st.builds(
    Manifest,
    class_names=st.lists(class_names, min_size=1).map(tuple),
    rows=st.lists(rows, max_size=4).map(tuple),
)


@given(manifests)
@settings(max_examples=25, deadline=None)
def test_manifests_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> None:
    path = tmp_path_factory.mktemp("dataset") / "manifest.tsv"
    manifest.write(path)
    assert Manifest.read(path) == manifest


def test_the_table_is_plain_text(tmp_path: Path) -> None:
    Manifest(CLASSES, (ROW, replace(ROW, id="b", mask=None, scored=False))).write(tmp_path / "manifest.tsv")
    assert (tmp_path / "manifest.tsv").read_text() == (
        "# classes:\tcat\tcow\tdog\n"
        "id\timage\tmask\tsplit\tscored\tlabels\theight\twidth\tdigest\n"
        "2007_000032\tphotos/2007_000032.jpg\tmasks/2007_000032.png\ttrain\t1\t0 2\t281\t500\t00ff\n"
        "b\tphotos/2007_000032.jpg\t\ttrain\t\t0 2\t281\t500\t00ff\n"
    )


def test_without_masks_no_trace_of_them_is_left(tmp_path: Path) -> None:
    unscored = replace(ROW, mask=None, scored=False)
    paths = tmp_path / "with.tsv", tmp_path / "without.tsv"
    Manifest(CLASSES, (ROW,)).without_masks().write(paths[0])
    Manifest(CLASSES, (unscored,)).write(paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_shards_part_a_split() -> None:
    everything = Manifest(
        CLASSES,
        tuple(replace(ROW, id=f"{number}", split="train" if number % 3 else "val") for number in range(60)),
    )
    train = everything.split("train")
    assert {row.split for row in train} == {"train"}
    assert len(train) + len(everything.split("val")) == len(everything) == 60
    shards = [everything.shard("train", index, 4) for index in range(4)]
    assert sorted(row.id for shard in shards for row in shard) == sorted(row.id for row in train)
    assert all(shard_of(row.id, 4) == index for index, shard in enumerate(shards) for row in shard)
    assert all(shard.class_names == CLASSES for shard in shards)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"manifest\.tsv:1: found ''"),
        ("id\timage\n", r"manifest\.tsv:1: found 'id"),
        ("# classes: cat dog\n", r"manifest\.tsv:1: found '# classes: cat"),
        ("# classes:\tcat\nid\timage\n", r"manifest\.tsv:2: found the columns \['id', 'image'\]"),
    ],
)
def test_other_files_are_refused_by_name_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.tsv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        Manifest.read(tmp_path / "manifest.tsv")


@pytest.mark.parametrize("bad", ["a\tb\n", "a\tb\t\ttrain\t\tcat\t1\t1\tff\n"])
def test_broken_rows_are_refused_by_line(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "manifest.tsv"
    Manifest(CLASSES, (ROW,)).write(path)
    path.write_text(path.read_text() + bad)
    with pytest.raises(DatasetError, match=r"manifest\.tsv:4: not a row"):
        Manifest.read(path)
