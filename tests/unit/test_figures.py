from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from wsss.report.figures import (
    Exhibit,
    pictures,
    plot_backgrounds,
    plot_gallery,
    plot_history,
    plot_scores,
    score_table,
    write_figure,
    write_page,
)
from wsss.report.figures.gallery import COLOURS, LONGEST, heat_map, overlay
from wsss.report.figures.history import running_mean
from wsss.report.figures.scores import NO_MASKS, scored_stages
from wsss.results import Cams

CLASSES = ("background", "cat", "$dog_{<b>$")
"""With a name that is neither mathematics nor HTML."""


def scores(miou: float, *, images: int = 3, split: str = "train", **more: Any) -> dict[str, Any]:
    iou = dict(zip(CLASSES, (0.9, miou, None), strict=True))
    counted = {"scored_images": images, "split": split, "protocol": "Counted."}
    return {**counted, "value_names": list(CLASSES), "miou": miou, "iou": iou, **more}


def metrics(images: int = 3) -> dict[str, dict[str, Any]]:
    sweep = {"constants": {"0.1": 0.25, "0.3": 0.431, "0.9": 0.2}, "alphas": {"2": 0.4, "16": 0.35}}
    quality = {
        f"{area}_{figure}": 0.5 for area in ("background", "foreground") for figure in ("share", "precision")
    }
    precision = {"average_precision": {"cat": 0.75, CLASSES[2]: None}, "map": 0.75}
    leak = {"beta": 8.0, "equal": 0.0291, "different": 0.00412, "ceiling": scores(0.613, images=images)}
    return {
        "classifier": {"protocol": "Ranked.", "scored_images": 2, "split": "val", **precision},
        "cams": scores(0.431, images=images, **sweep),
        "confident": scores(0.3, images=images, **quality),
        "affinities": {"protocol": "Counted. Leaks.", "scored_images": images, **leak},
        "random_walk": scores(0.482, images=images),
        "segmentation": scores(0.527, images=images, split="val"),
    }


def words(figure: Figure) -> list[str]:
    """All that is written in a figure, after drawing it, which fails on text that is taken for formulas."""
    figure.savefig(io.BytesIO(), format="png", dpi=20)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_scores_are_written_in_percent() -> None:
    found = words(plot_scores(metrics()))
    assert {"43.1", "48.2", "52.7", "90.0", "–", "3 train", "3 val", *CLASSES} <= set(found)


def test_dots_stand_at_the_scores() -> None:
    dots = plot_scores(metrics()).axes[0].collections
    means = [dots[stage].get_offsets()[0, 0] for stage in range(3)]
    assert means == pytest.approx([43.1, 48.2, 52.7])


def test_stages_that_were_not_scored_are_left_out() -> None:
    half = metrics() | {"segmentation": scores(float("nan"), images=0)}
    assert [stage.name for stage in scored_stages(half)] == ["CAM", "pseudo mask"]
    assert "segmentation" not in words(plot_scores(half))


def test_refined_cams_stand_beside_the_cams() -> None:
    refined = metrics()
    refined["cams"]["dense_crf"] = scores(0.444)
    assert [stage.name for stage in scored_stages(refined)][:3] == ["CAM", "CAM + dCRF", "pseudo mask"]
    assert "44.4" in words(plot_scores(refined))


def test_best_background_is_named() -> None:
    found = words(plot_backgrounds(metrics()["cams"], metrics()["random_walk"]))
    assert {"CAM 43.1 at 0.3", "CAM 40.0 at 2", "pseudo mask 48.2"} <= set(found)


def test_without_masks_the_figures_say_so() -> None:
    nothing = metrics(images=0)
    assert NO_MASKS in words(plot_scores(nothing))
    assert NO_MASKS in words(plot_backgrounds(nothing["cams"], nothing["random_walk"]))


def history(rows: int) -> dict[str, np.ndarray]:
    steps = np.arange(1.0, rows + 1)
    shared = {
        "step": 10 * steps,
        "epoch": steps / 4,
        "learning_rate": 0.01 / steps,
        "images_per_second": steps,
    }
    return {**shared, "loss": 1 / steps, "different": 0 * steps + 0.5}


@pytest.mark.parametrize("rows", [1, 2, 30, 300])
def test_history_shows_losses_and_rate(rows: int) -> None:
    figure = plot_history(history(rows), "AffinityNet", "a note")
    upper, lower = figure.axes
    assert {line.get_label() for line in upper.lines} >= {"loss", "different"}
    assert lower.lines[0].get_ydata() == pytest.approx(history(rows)["learning_rate"])
    assert f"{10 * rows:,} steps, {rows / 4:.3g} epochs; a note" in words(figure)


def test_history_of_a_network_that_was_given_finished() -> None:
    figure = plot_history(history(0), "AffinityNet", "a note")
    assert not figure.axes
    assert any("Not trained here" in text for text in words(figure))


@pytest.mark.parametrize("window", [1, 2, 7, 50])
def test_running_mean(window: int) -> None:
    values = np.random.default_rng(window).normal(size=20)
    oracle = [values[max(0, last - window + 1) : last + 1].mean() for last in range(20)]
    assert running_mean(values, window) == pytest.approx(np.array(oracle))


def exhibit(name: str = "a", *, size: tuple[int, int] = (30, 40), truth: bool = True) -> Exhibit:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    mask = np.zeros(size, np.uint8)
    mask[:10], mask[10:12] = 1, 255
    peak = np.zeros((1, *size), np.float16)
    peak[0, 5, -1] = 1
    masks = {"prediction": mask} | ({"truth": mask} if truth else {})
    return Exhibit(name, image, Cams(peak, np.array([2])), masks, {"prediction": 0.876} if truth else {})


def test_gallery_has_a_panel_for_everything() -> None:
    figure = plot_gallery([exhibit("a"), exhibit("b")], CLASSES, "Best", "2 of 9")
    headings = [axes.get_title(loc="center") for axes in figure.axes]
    assert headings == ["photograph", "CAM", "prediction", "truth"] + [""] * 4
    assert {"Best", "2 of 9", "a", "b", "mIoU 88", CLASSES[2], "cat", "unknown"} <= set(words(figure))


def test_images_with_few_panels_share_a_line() -> None:
    unlabelled = [exhibit(str(index), truth=False)._replace(cams=None) for index in range(4)]
    axes = plot_gallery(unlabelled, CLASSES, "First", "").axes
    tops = [round(panel.get_position().y1, 6) for panel in axes]
    assert len(set(tops[:6])) == 1
    assert tops[6] < tops[0]


def test_panels_of_an_image_with_another_shape_do_not_overlap() -> None:
    tall = plot_gallery([exhibit("a", size=(90, 30)), exhibit("b")], CLASSES, "Best", "")
    first, second = tall.axes[0].get_position(), tall.axes[4].get_position()
    assert second.y1 < first.y0


def test_empty_gallery_says_so() -> None:
    assert "no images to show" in words(plot_gallery([], CLASSES, "Best", ""))


def test_large_photographs_are_thinned() -> None:
    thin = exhibit(size=(3 * LONGEST, 2 * LONGEST)).thinned()
    assert thin.image.shape == (LONGEST, -(-2 * LONGEST // 3), 3)
    assert thin.cams is not None
    assert thin.cams.scores.shape[1:] == thin.masks["truth"].shape == thin.image.shape[:2]
    assert thin.image.base is None  # the large one can go
    assert np.array_equal(exhibit().thinned().image, exhibit().image)


def test_overlay_shows_classes_in_the_colours_of_the_masks() -> None:
    image = np.full((4, 60, 3), (10, 200, 90), np.uint8)
    mask = np.repeat(np.array([0, 1, 2, 255], np.uint8), 60).reshape(4, 60)
    background, first, second, unknown = overlay(image, mask).astype(int)
    assert (np.ptp(background, axis=1) == 0).all()  # grey
    for row, value in ((first, 1), (second, 2)):
        assert (row == row[0]).all()
        assert np.argmin(np.abs(COLOURS[:21].astype(int) - row[0]).sum(1)) == value
    assert len(np.unique(unknown, axis=0)) == 2  # stripes


def test_heat_follows_the_strongest_cam() -> None:
    image = np.full((2, 2, 3), 128, np.uint8)
    cams = np.array([[[0, 1], [0, 0.5]], [[0, 0], [0.5, 0.5]]], np.float16)
    picture = heat_map(image, cams)
    assert np.array_equal(picture[1, 0], picture[1, 1])
    assert len(np.unique(picture.reshape(4, 3), axis=0)) == 3
    assert np.array_equal(heat_map(image, cams[:0]), heat_map(image, 0 * cams))


def test_figures_are_written_at_twice_the_pixels_and_alike_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_figure(tmp_path / name, plot_scores(metrics()))
    width, height = plot_scores(metrics()).get_size_inches()
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (int(200 * width), int(200 * height))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png"}


def embedded(page: str) -> list[tuple[str, Image.Image]]:
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page)
    return [(kind, Image.open(io.BytesIO(base64.b64decode(code)))) for kind, code in found]


def test_pages_hold_their_pictures(tmp_path: Path) -> None:
    write_figure(tmp_path / "flat.png", plot_scores(metrics()))
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png", compress_level=0)
    write_page(tmp_path / "page.html", "<Scores>", pictures(tmp_path / "flat.png", tmp_path / "noise.png"))
    page = (tmp_path / "page.html").read_text("utf-8")
    (flat, exact), (noisy, coarse) = embedded(page)
    assert (flat, noisy) == ("png", "jpeg")
    assert exact.size == Image.open(tmp_path / "flat.png").size
    assert coarse.width < 1200
    assert 'width="600"' in page  # shown as large as if it were whole
    assert len(page) * 4 / 3 < 2**21  # as the report embeds it
    assert "<title>&lt;Scores&gt;</title>" in page


class Cells(HTMLParser):
    """Rows of all tables of a page, and the tags that are open at its end."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_table_holds_all_scores() -> None:
    table = Cells(score_table(metrics()))
    assert table.open == []
    expected = [
        ["IoU in %", "CAM3 train", "pseudo mask3 train", "over true affinities3 train", "segmentation3 val"],
        ["mean", "43.1", "48.2", "61.3", "52.7"],
        [CLASSES[2], "–", "–", "–", "–"],
        ["constant", "0.3", "43.1"],
        ["α", "2", "40.0"],
        ["background", "50.0", "50.0"],
        ["truly equal", "0.029"],
        ["truly different: the leak", "0.0041"],
        ["mean", "75.0"],
    ]
    assert [row for row in expected if row not in table.rows] == []


def test_table_says_how_scores_are_counted() -> None:
    table = score_table(metrics())
    assert table.count("Counted.") == 1  # what they share, once
    assert "<dt>affinities</dt><dd>Leaks.</dd>" in table
    assert "<dt>classifier</dt><dd>Ranked.</dd>" in table


def test_table_without_masks_holds_the_classifier() -> None:
    rows = Cells(score_table(metrics(images=0))).rows
    assert [row[0] for row in rows] == ["class", "mean", "cat", CLASSES[2]]
    assert ["mean", "75.0"] in rows


@pytest.mark.parametrize("artifact", ["classifier", "confident"])
def test_table_leaves_out_what_a_study_does_not_make(artifact: str) -> None:
    every = metrics()
    headings = {"classifier": "<h2>Classifier</h2>", "confident": "<h2>Confident regions</h2>"}
    table = score_table({name: scores for name, scores in every.items() if name != artifact})
    assert score_table(every).count(headings.pop(artifact)) == 1
    assert all(table.count(heading) == 1 for heading in headings.values())
    assert f"<dt>{artifact}</dt>" not in table


def test_table_scores_val_alone() -> None:
    only_val = metrics(images=0) | {"segmentation": scores(0.527, split="val")}
    rows = Cells(score_table(only_val)).rows
    assert ["IoU in %", "segmentation3 val"] in rows


def test_table_shows_the_segmentation_of_train_where_it_was_scored() -> None:
    both = metrics()
    both["segmentation"]["train"] = scores(0.611)
    head, mean = Cells(score_table(both)).rows[:2]
    assert head[-2:] == ["segmentation3 train", "segmentation3 val"]
    assert mean[-2:] == ["61.1", "52.7"]
    both["segmentation"]["train"]["scored_images"] = 0
    assert Cells(score_table(both)).rows[0][-2:] == ["over true affinities3 train", "segmentation3 val"]


def test_names_are_text_in_tables_and_pages(tmp_path: Path) -> None:
    table = score_table(metrics())
    assert "&lt;b&gt;" in table
    assert "<b>" not in table
    assert "mean W<sup>β</sup>, β = 8" in table
    write_page(tmp_path / "page.html", "Scores", table, "<script>")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert str(table) in page
    assert "&lt;script&gt;" in page


def test_pages_suit_dark_screens_and_narrow_ones(tmp_path: Path) -> None:
    write_figure(tmp_path / "a.png", plot_scores(metrics()))
    write_page(tmp_path / "page.html", "Scores", pictures(tmp_path / "a.png"), score_table(metrics()))
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "prefers-color-scheme: dark" in page
    assert re.search(r"\.card \{[^}]*background: #fff", page)  # dark ink of figures needs light paper
    assert page.count('<div class="card"><img') == 1
    assert page.count("<table") == page.count(
        '<div class="scroll"><table'
    )  # wide tables scroll by themselves
    assert 'name="viewport"' in page
