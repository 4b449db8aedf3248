"""A study's scores beside the published ones."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from wsss.data.class_names import VOC_CLASSES as CLASSES
from wsss.report.rounds import RoundScores, scores_of_rounds
from wsss.report.tables import scored_results, write_tables
from wsss.report.tables.comparison import comparison
from wsss.report.tables.layout import Row, Table, html, markdown
from wsss.report.tables.published import COLUMN_OF, RESULTS, STAGES, read_published, read_stages
from wsss.report.tables.results import Result
from wsss.study.config import Study, load_study
from wsss.study.params import WriteTables

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "published_results.tsv"

PAPER = [
    "bkg", "aero", "bike", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "table", "dog",
    "horse", "mbk", "person", "plant", "sheep", "sofa", "train", "tv",
]  # fmt: skip
VOC = list(COLUMN_OF)
ANIMALS = ["background", "cat", "cow|calf"]


def scores(names: list[str], split: str, images: int, miou: float, **more: Any) -> dict[str, Any]:
    iou = {name: miou + 0.001 * place for place, name in enumerate(names)}
    return {"value_names": names, "split": split, "scored_images": images, "iou": iou, "miou": miou, **more}


def metrics(classes: list[str] = VOC, train: int = 1464, val: int = 1449) -> dict[str, Any]:
    refined = scores(classes, "train", train, 0.51, constant=0.33)
    return {
        "cams": scores(classes, "train", train, 0.4804, constant=0.28, dense_crf=refined),
        "random_walk": scores(classes, "train", train, 0.6, val=scores(classes, "val", val, 0.59)),
        "segmentation": scores(classes, "val", val, 0.6234),
    }


def results(**arguments: Any) -> tuple[Result, ...]:
    return scored_results(metrics(**arguments), WriteTables.of(Study()))


def parts(found: tuple[Result, ...], rounds: list[RoundScores] | None = None) -> list[str | Table]:
    return comparison("mine", found, read_published(), read_stages(), rounds or [])


def tables(found: tuple[Result, ...]) -> dict[str, Table]:
    """The tables of a page by the first two words of their title."""
    return {
        " ".join(part.title.split(" ")[:2]).rstrip(",:"): part
        for part in parts(found)
        if isinstance(part, Table)
    }


def row(table: Table, name: str) -> dict[str, str]:
    (found,) = [row.cells for row in table.rows if row.cells[0] == name]
    return dict(zip(table.columns, found, strict=True))


# The published results


def test_the_data_are_the_published_ones() -> None:
    if not SHARED.is_file():
        pytest.skip(f"{SHARED} is not here")
    lines = RESULTS.read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == SHARED.read_text("utf-8").splitlines()


def test_columns_are_those_of_the_paper() -> None:
    assert list(COLUMN_OF) == ["background", *CLASSES]
    assert list(COLUMN_OF.values()) == PAPER
    for name in ("Table 2", "Table 3"):
        assert list(tables(results())[name].columns) == ["method", *PAPER, "mean"]


def test_the_column_of_tables_is_not_taken_for_the_number_of_the_table() -> None:
    (ours,) = [row for row in read_published() if (row.table, row.method) == ("2", "Ours-ResNet38")]
    assert ours.iou[PAPER.index("table")] == 40.2


def test_published_means_are_the_means_of_their_classes() -> None:
    complete = [row for row in read_published() if None not in row.iou]
    assert len(complete) == 13
    for published in complete:
        assert len(published.iou) == 21
        assert sum(published.iou) / 21 == pytest.approx(published.mean, abs=0.0501)


def test_means_agree_between_the_tables() -> None:
    means = {(row.table, row.split, row.method): row.mean for row in read_published()}
    stages, systems = read_stages()
    for system, method in ((systems[0], "Ours-DeepLab"), (systems[2], "Ours-ResNet38")):
        assert dict(zip(stages, system.means, strict=True))["segmentation val"] == means["2", "val", method]
        assert dict(zip(stages, system.means, strict=True))["segmentation test"] == means["3", "test", method]
        assert means["2", "val", method] == means["4", "val", method]
        assert means["3", "test", method] == means["4", "test", method]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.tsv"
    path.write_text(RESULTS.read_text("utf-8").replace("aero\tbike", "bike\taero"))
    with pytest.raises(ValueError, match=r"published\.tsv: found the columns .*'bike', 'aero'"):
        read_published(path)


# A study of VOC


def test_segmentation_stands_in_tables_2_and_4_with_its_differences() -> None:
    found = tables(results())
    assert row(found["Table 2"], "mine")["mean"] == "62.3"
    assert row(found["Table 2"], "mine")["aero"] == "62.4"
    assert row(found["Table 2"], "vs Ours-ResNet38")["mean"] == "+0.6"
    assert row(found["Table 2"], "vs Ours-ResNet38")["bird"] == "-18.5"  # 62.34 + 0.3 - 81.1
    assert row(found["Table 4"], "mine") | {"method": ""} == {
        "method": "", "supervision": "image", "extra data": "–", "val": "62.3", "test": "–",
    }  # fmt: skip
    assert row(found["Table 4"], "vs Ours-DeepLab")["val"] == "+3.9"
    assert not any(row.kind == "study" for row in found["Table 3"].rows)


def test_published_rows_stand_in_the_order_of_the_paper() -> None:
    methods = [row.cells[0] for row in tables(results())["Table 2"].rows if row.kind == "plain"]
    assert methods == [row.method for row in read_published() if row.table == "2"]


def test_each_stage_stands_below_its_published_mean() -> None:
    stages = tables(results())["All stages"]
    assert row(stages, "mine") == {
        "system": "mine",
        "CAM train": "48.0",
        "random walk train": "60.0",
        "random walk val": "59.0",
        "segmentation val": "62.3",
        "segmentation test": "–",
    }
    assert row(stages, "ResNet38, published code")["random walk val"] == "60.2"
    assert row(stages, "vs ResNet38, published code")["random walk val"] == "-1.2"
    assert row(stages, "vs ResNet38, paper")["random walk val"] == "+2.0"


def test_on_other_images_no_difference_is_given() -> None:
    found = results(train=10)
    stages = tables(found)["All stages"]
    assert row(stages, "mine")["CAM train"] == "48.0"
    assert row(stages, "vs ResNet38, paper")["CAM train"] == "–"
    assert row(stages, "vs ResNet38, paper")["random walk val"] == "+2.0"
    assert "CAM train 10; CAM + dCRF train 10; random walk train 10." in str(parts(found)[0])
    assert not any(
        row.kind == "difference" for table in tables(results(train=9, val=9)).values() for row in table.rows
    )


def test_a_class_that_appears_nowhere_has_no_value_and_no_difference() -> None:
    some = metrics()
    some["segmentation"]["iou"]["sofa"] = None
    table = tables(scored_results(some, WriteTables.of(Study())))["Table 2"]
    assert row(table, "mine")["sofa"] == row(table, "vs Ours-ResNet38")["sofa"] == "–"


# The protocol


def test_protocol_names_images_labels_background_refinement_and_scales() -> None:
    study = load_study(
        {
            "random_walk": {
                "background": {"kind": "power", "alpha": 16},
                "beta": 8,
                "t": 256,
                "refine": "dense_crf",
            },
            "cams": {"scales": [1, 0.5, 1.5, 2]},
            "segmentation": {"scales": [1], "flip": False},
        }
    )
    protocol = tables(scored_results(metrics(), WriteTables.of(study)))["Protocol"]
    labels, scales = "true image-level", "multi: 0.5, 1, 1.5, 2, flipped"
    power, walk = "(1 − max CAM)^α, α = 16", "β = 8, t = 256"
    best = "constant {}, the best by these masks"
    assert [row.cells for row in protocol.rows] == [
        ("CAM train", "1,464", labels, best.format("0.28"), "no", "no", scales),
        ("CAM + dCRF train", "1,464", labels, best.format("0.33"), "no", "yes", scales),
        ("random walk train", "1,464", labels, power, walk, "yes", scales),
        ("random walk val", "1,449", labels, power, walk, "yes", scales),
        ("segmentation val", "1,449", "none", "the network's own class", "no", "no", "single: 1"),
    ]


@pytest.mark.parametrize(("normalize", "said"), [("class", "class"), ("image", "image")])
def test_protocol_names_a_constant_background_and_the_normalisation(normalize: str, said: str) -> None:
    background = {"kind": "constant", "score": 0.42}
    study = load_study({"random_walk": {"background": background, "normalize": normalize, "refine": "none"}})
    found = scored_results(metrics(), WriteTables.of(study))
    (walked,) = [result for result in found if result.name == "random walk train"]
    assert (walked.background, walked.dense_crf) == ("constant 0.42", "no")
    assert walked.walk == f"β = 12, t = 16, normalized by {said}"


def test_segmentation_of_train_has_a_row_where_it_was_scored() -> None:
    some = metrics()
    some["segmentation"]["train"] = scores(VOC, "train", 1464, 0.71)
    found = scored_results(some, WriteTables.of(Study()))
    assert [result.name for result in found][-2:] == ["segmentation train", "segmentation val"]
    assert row(tables(found)["Table 2"], "mine")["mean"] == "62.3"  # val, as published


def test_imported_cams_name_their_system_for_scales() -> None:
    study = load_study({"cams": {"kind": "files", "format": "psa", "folder": "cams"}})
    found = scored_results(metrics(), WriteTables.of(study))
    scales = {result.stage: result.scales for result in found}
    assert scales["CAM"] == scales["random walk"] == "those of its own system, psa"
    assert scales["segmentation"] == "single: 1"


def test_what_was_not_scored_has_no_row() -> None:
    some = metrics()
    del some["cams"]["dense_crf"], some["random_walk"]["val"]
    some["segmentation"] |= {"scored_images": 0, "miou": None}
    found = scored_results(some, WriteTables.of(Study()))
    assert [result.name for result in found] == ["CAM train", "random walk train"]
    assert row(tables(found)["All stages"], "mine")["segmentation val"] == "–"
    assert [row.cells[0] for row in tables(found)["Table 2"].rows][-1] == "Ours-ResNet38"


# Other studies


def test_rounds_and_full_supervision_have_a_table_of_their_own() -> None:
    scored = {"miou": 0.4, "scored_images": 3}
    rounds = scores_of_rounds(
        {"segmentation": scored, "round2_segmentation": scored, "full_segmentation": scored | {"miou": 0.5}}
    )
    (table,) = (
        part for part in parts(results(), rounds) if isinstance(part, Table) and "Rounds" in part.title
    )
    assert [row.cells[0] for row in table.rows] == ["round 1", "round 2", "full supervision"]
    assert [row.cells[-1] for row in table.rows] == ["40.0", "40.0", "50.0"]
    assert "80.0 %" in table.note
    assert not any(
        isinstance(part, Table) and "Rounds" in part.title for part in parts(results(), rounds[:1])
    )


def test_other_classes_are_not_compared() -> None:
    sentence, *own = parts(results(classes=ANIMALS))
    assert "not the 20 of PASCAL VOC" in str(sentence)
    assert [part.title for part in own if isinstance(part, Table)] == ["Protocol", "This study, IoU in %"]
    assert own[1].columns == ("result", *ANIMALS, "mean")


def test_voc_classes_in_another_order_are_not_compared() -> None:
    assert "Table 2" not in tables(results(classes=[VOC[0], *VOC[:0:-1]]))


def test_many_classes_stand_below_each_other() -> None:
    classes = ["background", *(f"class-{number}" for number in range(1, 81))]
    table = tables(results(classes=classes))["This study"]
    assert [row.cells[0] for row in table.rows] == [*classes, "mean"]
    assert row(table, "class-3")["segmentation val"] == "62.6"


def test_without_masks_the_page_says_so() -> None:
    nothing = {name: scores(VOC, "val", 0, float("nan")) for name in ("cams", "random_walk", "segmentation")}
    (sentence,) = parts(scored_results(nothing, WriteTables.of(Study())))
    assert "no true masks" in str(sentence)


# Files


class Tags(HTMLParser):
    """The tags that are open at the end of a text, and the cells of its rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def test_html_and_markdown_hold_the_same_cells() -> None:
    found = parts(results())
    cells = [
        list(line) for part in found if isinstance(part, Table) for line in part.lines if all(line)
    ]  # an empty cell has no text in HTML
    page, text = Tags(html(found)), markdown("Mine", found)
    assert page.open == []
    assert [line for line in page.rows if line in cells] == cells
    read = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert [line for line in read if line in cells] == cells


def test_markdown_lines_up_and_escapes() -> None:
    table = Table("T", ("what|ever", "value", "word"), (Row(("a", "1.0", "x")), Row(("b", "–", "long word"))))
    assert markdown("Title", ["Text.", table]) == (
        "# Title\n\nText.\n\n## T\n\n"
        "| what\\|ever | value | word      |\n"
        "|------------|------:|-----------|\n"
        "| a          |   1.0 | x         |\n"
        "| b          |     – | long word |\n"
    )
    assert '<td class="text">&lt;b&gt;</td>' in html([Table("T", ("a",), (Row(("<b>",)),))])


def test_values_have_the_columns_of_the_published_file(tmp_path: Path) -> None:
    write_tables(tmp_path, "mine", results(), (RESULTS, STAGES), [])
    lines = [line.split("\t") for line in (tmp_path / "results.tsv").read_text("utf-8").splitlines()]
    published = [line.split("\t") for line in RESULTS.read_text("utf-8").splitlines() if line[0] != "#"]
    assert [lines[0], *lines[6:]] == published
    assert lines[5][:3] + lines[5][-1:] == ["2", "val", "mine, segmentation", "62.34"]
    assert {path.name for path in tmp_path.iterdir()} == {"results.md", "results.tsv", "results.html"}


@pytest.mark.parametrize("scored", [0, 7])
def test_files_of_other_studies(tmp_path: Path, scored: int) -> None:
    write_tables(tmp_path, "mine", results(classes=ANIMALS, train=scored, val=scored), (RESULTS, STAGES), [])
    head = "\t".join(["table", "split", "method", "supervision", "extra_data"])
    lines = (tmp_path / "results.tsv").read_text("utf-8").splitlines()
    names = "\t".join(["", *ANIMALS, "mean"]) if scored else "\tmean"
    assert lines[0] == head + names
    assert len(lines) == (6 if scored else 1)
