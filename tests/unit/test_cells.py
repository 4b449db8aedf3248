"""Tables that a spreadsheet opens without running a name, and that our own readers give back unchanged."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsss.report.tables.output import tab_separated
from wsss.report.tables.results import Result
from wsss.results import (
    ImageConfusion,
    RankedImage,
    read_confusions,
    read_ranking,
    write_ranking,
    write_table,
)
from wsss.results.confusions import write_confusions
from wsss.results.rows import read_rows, write_rows
from wsss.stages.exchange import listed_masks
from wsss.stages.masks import export_masks
from wsss.stages.predict import Predicted, collect, write_shard
from wsss.study.cells import cell, cell_text

FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", "＝1+1", '=HYPERLINK("http://x")')

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.builds(
    "".join, st.lists(st.sampled_from(["'", "=", "-", "1", "a", ".", "e", "＋", " "]), max_size=6)
)


def cells_of(path: Path, delimiter: str = "\t") -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [text for row in csv.reader(file, delimiter=delimiter) for text in row]


def is_run(text: str) -> bool:
    """Whether a spreadsheet takes a text for a formula that is more than a number."""
    try:
        float(text)
    except ValueError:
        return text.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    return False


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(f"a{text}") == f"a{text}"


@pytest.mark.parametrize("number", ["-1", "-0.25", "+3", "-1e-5", "-inf", -1.5, 3, None])
def test_numbers_stay_as_they_are(number: object) -> None:
    assert cell(number) == number


@settings(deadline=None, derandomize=True, max_examples=500)
@given(texts)
def test_every_text_comes_back_and_none_is_run(text: str) -> None:
    marked = cell(text)
    assert isinstance(marked, str)
    assert not is_run(marked)
    assert cell_text(marked) == text


@settings(deadline=None, derandomize=True, max_examples=50)
@given(first=texts.filter(str.isprintable), second=texts.filter(str.isprintable))
def test_rows_come_back(tmp_path_factory: pytest.TempPathFactory, first: str, second: str) -> None:
    path = tmp_path_factory.mktemp("rows") / "table.tsv"
    write_rows(path, ("=id", "text"), [(first, second)])
    assert list(read_rows(path, ("=id", "text"), lambda *found: found, key=1)) == [(first, second)]


@pytest.mark.parametrize("name", [text for text in FORMULAS if text.isprintable()])  # as names are
def test_no_table_of_results_holds_a_formula(tmp_path: Path, name: str) -> None:
    """Tables that people open: those that only they read, and those that later stages read as well."""
    ranking = [RankedImage(1, name, (name, "cat"), 0.5, {})]
    write_ranking(tmp_path / "images.tsv", ranking)
    assert [image[:3] for image in read_ranking(tmp_path / "images.tsv")] == [(1, name, (name, "cat"))]
    confusion = ImageConfusion(name, "val", np.array([[0, 1, 5]]))
    write_confusions(tmp_path / "masks.tsv", [confusion])
    assert read_confusions(tmp_path / "masks.tsv", 2)[0].image == name
    write_table(tmp_path / "classes.tsv", [{"class": name, name: -1.5}])
    iou = {"background": 0.5, name: 0.25}
    result = Result(name, "val", 3, 0.375, iou, "labels", "power", "", "", "1")
    (tmp_path / "results.tsv").write_text(tab_separated(name, [result], []), encoding="utf-8")
    for path in tmp_path.glob("*.tsv"):
        found = cells_of(path)
        assert not any(map(is_run, found)), path.name
        assert any(name in text for text in found), path.name


@pytest.mark.parametrize("name", ["=1+1", "-2+3", "@SUM(A1)", "'=quoted"])
def test_lists_of_masks_name_images_that_look_like_formulas(tmp_path: Path, name: str) -> None:
    export_masks(tmp_path, [(name, np.zeros((8, 8), np.uint8))], {name: Path(f"{name}.jpg")}, ["cat"])
    assert not any(map(is_run, cells_of(tmp_path / "index.tsv")))
    (listed,) = listed_masks(tmp_path, None, 1)
    assert (listed.id, listed.image) == (name, Path(f"{name}.jpg"))


def test_predictions_of_shards_come_back_and_are_not_run(tmp_path: Path) -> None:
    names = ("background", "=cat")
    write_shard(
        tmp_path / "00.tsv", [Predicted("=a", "=a.jpg", {"background": 0.25, "=cat": 0.75}, "")], names
    )
    masks = tmp_path / "out" / "masks"
    masks.mkdir(parents=True)
    (masks / "=a.png").write_bytes(b"")
    collect(tmp_path / "out" / "classes.csv", [tmp_path / "00.tsv"])
    assert cells_of(tmp_path / "out" / "classes.csv", ",") == [
        *("image", "classes", "background", "'=cat"),
        *("'=a.jpg", "'=cat", "0.2500", "0.7500"),
    ]
    assert (masks / "=a.png").exists()
