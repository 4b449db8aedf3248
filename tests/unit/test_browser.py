"""The report to browse, as it is on disk: data, pictures, links, and what it makes of hostile names."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.unit.finished_study import CLASSES, FinishedStudy
from wsss.__main__ import app
from wsss.data import read_image, write_mask
from wsss.method.labels import IGNORE
from wsss.report.browser import PAGE, write_pair, write_report
from wsss.report.browser.charts import confusion, sweep_maps
from wsss.report.browser.costs import benchmarked_jobs, costs, duration
from wsss.report.browser.headline import tiles
from wsss.report.browser.palettes import layer, palettes, safe_palette
from wsss.report.browser.published import beside_published
from wsss.report.browser.thumbnails import Thumbnails
from wsss.report.figures.gallery import heat_map, overlay
from wsss.results import Cams, image_miou, read_confusions, read_json, write_manifest, write_text
from wsss.study.provenance import ArtifactManifest, content_digest, read_manifest


class Elements(HTMLParser):
    """The elements of a page, and the content of its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def text_of(study: FinishedStudy) -> str:
    return (study.folder / PAGE).read_text(encoding="utf-8")


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def images_of(study: FinishedStudy) -> dict[str, list[Any]]:
    return {image[1]: image for (image,) in data_of(text_of(study))["images"]}


def test_every_image_is_there_those_to_look_at_first_on_top(finished_study: FinishedStudy) -> None:
    listed = [image[1] for (image,) in data_of(text_of(finished_study))["images"]]
    trust = finished_study.trust()
    assert listed[: len(trust)] == sorted(trust, key=lambda name: trust[name])
    assert set(listed) == {row.id for row in finished_study.rows}


def test_an_image_has_its_scores_and_what_the_stages_made_of_it(finished_study: FinishedStudy) -> None:
    data = data_of(text_of(finished_study))
    assert data["views"] == [
        "photograph", "CAM", "confident regions", "pseudo mask", "prediction", "truth",
    ]  # fmt: skip
    keys = [key for key, _ in data["values"]]
    table = finished_study.folder / "scores" / "segmentation.tsv"
    miou = image_miou(read_confusions(table, len(CLASSES) + 1), len(CLASSES) + 1)
    for name, image in images_of(finished_study).items():
        in_train = name.startswith("train")
        assert image[6] == [1, in_train, in_train, in_train, 1, 1]
        values = dict(zip(keys, image[7], strict=True))
        assert values["iou_segmentation"] == pytest.approx(miou[name], abs=1e-4)
        assert values["quality"] == finished_study.trust().get(name)


def test_links_lead_to_the_photograph_and_to_the_mask_to_correct(finished_study: FinishedStudy) -> None:
    page = (finished_study.folder / PAGE).parent
    for row in finished_study.rows:
        *_, photograph, mask = images_of(finished_study)[row.id]
        assert (page / unquote(photograph)).samefile(row.image)
        exported = finished_study.folder / "masks" / "random_walk" / row.split / f"{row.id}.png"
        assert (page / unquote(mask)).samefile(exported) if row.split == "train" else not mask
        assert ":" not in photograph


def test_names_of_classes_images_and_studies_are_text(finished_study: FinishedStudy) -> None:
    page = text_of(finished_study)
    tags = Elements(page).tags
    assert [attributes.get("type") for tag, attributes in tags if tag == "script"] == [
        "application/json", "module",
    ]  # fmt: skip
    assert {"b", "i"} & {tag for tag, attributes in tags if attributes} == set()
    assert "<i>co" not in page
    assert "alert(1)</script>" not in page
    assert data_of(page)["names"] == ["background", *CLASSES]


def test_the_page_needs_nothing_from_elsewhere(finished_study: FinishedStudy) -> None:
    page = text_of(finished_study)
    sources = [value for _, attributes in Elements(page).tags for name, value in attributes.items()
               if name in ("src", "href")]  # fmt: skip
    local = [source for source in sources if source and not source.startswith(("#", "data:"))]
    assert local
    assert all((finished_study.folder / "report" / unquote(source)).is_file() for source in local)
    assert "url(http" not in page


def test_alarms_sweep_time_and_origin_are_on_it(finished_study: FinishedStudy) -> None:
    page = text_of(finished_study)
    for expected in (
        "&lt;b&gt;wrong&lt;/b&gt;", "rank 1: α 4, β 8, t 16", "1 min 30 s", "2026-01-02 03:04 UTC", "2.11.0",
        "snakemake --configfile tiny.yaml", "segmenter.epochs", "Training of Segmentation network",
    ):  # fmt: skip
        assert expected in page


def test_2000_photographs_weigh_less_than_60_mb(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "large", train=4, val=0, size=375).draw()
    photographs = [row.image for row in study.rows]
    thumbnails = Thumbnails(tmp_path, 6, ["confident regions", "pseudo mask", "prediction", "truth"])
    for number, (photograph, mask) in enumerate(zip(photographs, study.truth.values(), strict=True)):
        cams = Cams((mask[None] > 0).astype(np.float16), np.array([1]))
        thumbnails.write(number, photograph, cams, dict.fromkeys(thumbnails.frames, mask))
    weight = sum(file.stat().st_size for file in tmp_path.iterdir() if file.is_file())
    assert weight / len(photographs) * 2000 < 60e6


def drawn(folder: Path, number: int, layer_name: str, frame: int, frames: int) -> np.ndarray:
    """A photograph below one of its layers, as a browser mixes them."""
    below = Image.open(folder / f"{number}.jpg").convert("L").convert("RGB")
    stack = Image.open(folder / f"{number}-{layer_name}.png").convert("RGBA")
    height = stack.height // frames
    above = stack.crop((0, frame * height, stack.width, (frame + 1) * height)).resize(below.size, 0)
    return np.array(Image.alpha_composite(below.convert("RGBA"), above).convert("RGB")).astype(float)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    photograph = tmp_path / "photo.png"
    shades = np.linspace(40, 210, 60).astype(np.uint8)
    Image.fromarray(np.broadcast_to(shades[None, :, None], (40, 60, 3)).copy()).save(photograph)
    return photograph


def test_layers_over_the_photograph_are_the_pictures_of_the_galleries(grey: Path, tmp_path: Path) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[5:20, 5:30], mask[25:38, 20:50] = 2, IGNORE
    strength = np.linspace(0, 1, 60, dtype=np.float16)
    scores = np.broadcast_to(strength, (1, 40, 60)).copy()
    Thumbnails(tmp_path, 3, ["other", "mask"]).write(7, grey, Cams(scores, np.array([1])), {"mask": mask})
    found = drawn(tmp_path, 7, "voc", frame=1, frames=2)
    assert np.abs(found - overlay(read_image(grey), mask)).max() < 12
    warm = drawn(tmp_path, 7, "cam", frame=0, frames=1)
    assert np.abs(warm - heat_map(read_image(grey), scores)).mean() < 12


def test_pictures_are_small_and_none_is_made_larger(tmp_path: Path) -> None:
    Image.new("RGB", (900, 600)).save(tmp_path / "large.png")
    Image.new("RGB", (30, 20)).save(tmp_path / "small.png")
    thumbnails = Thumbnails(tmp_path, 3, [])
    for number, name in enumerate(("large", "small")):
        thumbnails.write(number, tmp_path / f"{name}.png", None, {})
    assert Image.open(tmp_path / "0.jpg").size == (256, 171)
    assert Image.open(tmp_path / "1.jpg").size == (30, 20)


def test_a_mask_of_another_size_is_refused(grey: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"photo\.png: has .*40, 60.*truth .*8, 8"):
        Thumbnails(tmp_path, 3, ["truth"]).write(0, grey, None, {"truth": np.zeros((8, 8), np.uint8)})


def test_all_mask_values_of_the_largest_data_set_have_a_colour(grey: Path, tmp_path: Path) -> None:
    mask = np.full((40, 60), 254, np.uint8)
    mask[:10] = IGNORE
    Thumbnails(tmp_path, 255, ["mask"]).write(0, grey, None, {"mask": mask})
    found = drawn(tmp_path, 0, "voc", frame=0, frames=1)
    assert np.abs(found - overlay(read_image(grey), mask))[15:].max() < 12


DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
PROTANOPIA = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
"""How eyes that lack a kind of cones see linear RGB (Machado, Oliveira & Fernandes 2009)."""


@pytest.mark.parametrize("seen_as", [DEUTERANOPIA, PROTANOPIA], ids=["no green cones", "no red cones"])
def test_colour_blind_eyes_tell_the_safe_colours_apart_better_than_those_of_voc(seen_as: np.ndarray) -> None:
    def least_distance(colours: np.ndarray) -> float:
        seen = ((colours[1:] / 255.0) ** 2.2) @ seen_as.T
        apart = np.linalg.norm((seen[:, None] - seen[None]), axis=2)
        return float(apart[np.triu_indices(len(seen), 1)].min())

    both = palettes(8)
    assert least_distance(both["safe"]) > 2 * least_distance(both["voc"])


def test_21_classes_have_colours_of_their_own() -> None:
    assert len(np.unique(safe_palette(22)[1:], axis=0)) == 21
    assert layer(safe_palette(300)).shape == (302, 4)


def scored(miou: float, images: int = 5, split: str = "train") -> dict[str, Any]:
    return {"miou": miou, "scored_images": images, "split": split}


def test_a_gain_is_over_scores_of_the_same_images() -> None:
    found = tiles({
        "cams": scored(0.5) | {"dense_crf": scored(0.6)},
        "random_walk": scored(0.55),
        "segmentation": scored(0.7, 2, "val") | {"train": scored(0.65)},
    })  # fmt: skip
    assert [(tile.title, tile.value, tile.gain) for tile in found] == [
        ("CAM", "50.0", ""), ("CAM + dCRF", "60.0", "+10.0"), ("pseudo mask", "55.0", "−5.0"),
        ("segmentation", "65.0", "+10.0"), ("segmentation", "70.0", ""),
    ]  # fmt: skip


def test_nothing_scored_has_no_figure() -> None:
    assert tiles({}) == []
    assert tiles({"cams": scored(float("nan"), 0)}) == []


def test_jobs_of_a_rule_add_up(tmp_path: Path) -> None:
    for file, row in {"a/0.tsv": "2.5\t100", "a/1.tsv": "61\t300", "b.tsv": "-\t-"}.items():
        write_text(tmp_path / "benchmarks" / file, f"s\tmax_rss\n{row}\n")
    section = costs(benchmarked_jobs(tmp_path, "round2_"), "#000000")
    assert section
    assert [[cell.text for cell in line.cells] for line in section.lines] == [
        ["round2_a", "2", "1 min 04 s", "1 min 01 s", "300"],
        ["round2_b", "1", "0.0 s", "0.0 s", "0"],
        ["all", "3", "1 min 04 s", "", ""],
    ]
    assert costs([], "#000000") is None
    assert duration(7265) == "2 h 01 min"


def test_confusion_is_in_shares_of_the_true_class() -> None:
    metrics = {"scored_images": 2, "value_names": ["background", "cat", "dog"],
               "confusion": [[8, 2, 0], [1, 3, 0], [0, 0, 0]]}  # fmt: skip
    found = confusion("masks", metrics)
    assert found
    assert found.rows == [[0.8, 0.2, 0.0], [0.25, 0.75, 0.0], [None, None, None]]
    assert [tuple(mistake) for mistake in found.largest] == [
        ("cat", "background", 0.25), ("background", "cat", 0.2),
    ]  # fmt: skip
    many = metrics | {"value_names": list(map(str, range(40))), "confusion": np.eye(40).tolist()}
    assert confusion("masks", many) == ("masks", tuple(map(str, range(40))), [], [])
    assert confusion("masks", {"scored_images": 0}) is None


def test_a_sweep_is_a_map_of_beta_over_t(finished_study: FinishedStudy) -> None:
    (found,) = sweep_maps(read_json(finished_study.folder / "sweep" / "points.json"))
    assert found.ts == [16, 64]
    values = [(beta, [cell and cell.value for cell in cells]) for beta, cells in found.rows]
    assert values == [(8.0, ["59.0", "58.0"]), (4.0, ["57.0", None])]
    assert [cell.is_best for _, cells in found.rows for cell in cells if cell] == [True, False, False]


def test_published_rows_stand_where_the_classes_are_those_of_voc(tmp_path: Path) -> None:
    table, metrics = tmp_path / "results.tsv", {"segmentation": {"scored_images": 100}}
    own = ["2", "val", "mine, segmentation", "image", "", *["50.00"] * 21, "50.00"]
    head = (Path(__file__).parents[2] / "wsss/report/tables/published_results.tsv").read_text("utf-8")
    head = next(line for line in head.splitlines() if line.startswith("table\t"))
    other = ["2", "val", "Ours-ResNet38", "image", "", *["61.7"] * 22]
    write_text(table, "".join(f"{line}\n" for line in (head, "\t".join(own))))
    assert beside_published("mine", table, metrics) == ""
    write_text(table, "".join(f"{line}\n" for line in (head, "\t".join(own), "\t".join(other))))
    shown = beside_published("mine", table, metrics)
    assert "Ours-ResNet38" in shown
    assert "on 100: the figures do not compare" in shown


def test_a_study_that_has_only_begun_shows_its_photographs(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "begun", train=2, val=1).draw()
    data = data_of(write_report(study.folder).read_text("utf-8"))
    assert data["views"] == ["photograph", "truth"]
    assert data["values"] == []
    assert len(data["images"]) == 3


def test_shards_of_a_former_number_do_not_count(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "resharded", train=2, val=1).draw().compute()
    shutil.copy(study.folder / "cams/train/00.npz", study.folder / "cams/train/01.npz")
    write_text(study.folder / "dataset/manifest.tsv.json", '{"config": {"shards": {"train": 1, "val": 1}}}')
    assert "CAM" in data_of(write_report(study.folder).read_text("utf-8"))["views"]


def test_a_missing_photograph_is_named_and_the_old_page_stays(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "gone", train=2, val=1).draw()
    before = write_report(study.folder).read_bytes()
    study.rows[1].image.unlink()
    with pytest.raises(ValueError, match=re.escape(f"{study.rows[1].image}: no such photograph")):
        write_report(study.folder)
    assert (study.folder / PAGE).read_bytes() == before


def test_an_unreadable_photograph_is_named_and_the_old_pictures_stay(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "broken", train=2, val=1).draw()
    folder = write_report(study.folder).parent
    before = sorted(folder.rglob("*"))
    study.rows[1].image.write_bytes(b"no image")
    with pytest.raises(ValueError, match=re.escape(str(study.rows[1].image))):
        write_report(study.folder)
    assert sorted(folder.rglob("*")) == before


def test_a_later_round_is_what_is_shown(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "rounds", train=2, val=1).draw().compute()
    later = FinishedStudy(study.folder / "rounds" / "2", rows=study.rows, truth=study.truth, worse=3)
    later.compute()
    page = write_report(study.folder).read_text("utf-8")
    assert "Pictures and figures are of round 2; the slider below shows the masks of earlier rounds" in page
    assert "<h3>Rounds</h3>" in page
    assert "&lt;h3" not in page
    assert "round 1" in page
    miou = image_miou(read_confusions(later.folder / "scores" / "segmentation.tsv", 6), 6)
    data = data_of(page)
    column = [key for key, _ in data["values"]].index("iou_segmentation")
    assert {image[1]: image[7][column] for (image,) in data["images"]} == pytest.approx(miou, abs=1e-4)


def test_masks_and_scores_of_earlier_rounds_are_there_too(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "rounds", train=2, val=1).draw().compute()
    for number, worse in ((2, 3), (3, 6)):
        folder = study.folder / "rounds" / str(number)
        FinishedStudy(folder, rows=study.rows, truth=study.truth, worse=worse).compute()
    data = data_of(write_report(study.folder).read_text("utf-8"))
    assert data["views"] == [
        "photograph",
        "pseudo mask, round 1", "prediction, round 1", "pseudo mask, round 2", "prediction, round 2",
        "CAM", "confident regions", "pseudo mask", "prediction", "truth",
    ]  # fmt: skip
    titles = {title: column for column, (_, title) in enumerate(data["values"])}
    for name, place in {
        ", round 1": study.folder,
        ", round 2": study.folder / "rounds" / "2",
        "": study.folder / "rounds" / "3",
    }.items():
        miou = image_miou(read_confusions(place / "scores" / "segmentation.tsv", 6), 6)
        column = titles[f"mIoU of the prediction{name}"]
        assert {image[1]: image[7][column] for (image,) in data["images"]} == pytest.approx(miou, abs=1e-4)
    (image,) = data["images"][0]
    stack = np.asarray(Image.open(study.folder / "report" / "thumbnails" / f"{image[0]}-voc.png"))
    frames = data["runs"][0]["frames"]
    shown = dict(zip(frames, np.split(stack, len(frames)), strict=True))
    split = image[2]
    for name, place in (("prediction, round 1", study), ("prediction", None)):
        worse = 0 if place else 6
        masks = FinishedStudy(study.folder, rows=study.rows, truth=study.truth, worse=worse)
        assert np.array_equal(shown[name], masks.masks("segmentation", split)[image[1]])


def test_the_manifest_of_a_page_that_is_written_anew_has_its_digest(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "study", train=2, val=1).draw().compute()
    page = study.folder / PAGE
    made = {"inputs": {}, "code": {}, "config": {}, "versions": {}, "seed": None, "device": "cpu"}
    made |= {"seconds": 1.0, "peak_memory_mb": 1.0, "created": "2026-11-26T00:00:00+00:00"}
    outputs = {str(page): "of the page before", "elsewhere.tsv": "kept"}
    manifest = ArtifactManifest(artifact=str(page), rule="write_report", outputs=outputs, **made)
    write_manifest(page, manifest)
    done = CliRunner().invoke(app, ["report", str(study.folder)])
    assert done.exit_code == 0, done.output
    renewed = read_manifest(Path(f"{page}.json"))
    expected = {str(page): content_digest(page.read_bytes()), "elsewhere.tsv": "kept"}
    assert renewed == manifest.model_copy(update={"outputs": expected})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinishedStudy, FinishedStudy]:
    results = tmp_path_factory.mktemp("pair")
    first = FinishedStudy(results / "first").draw().compute()
    second = FinishedStudy(results / "second", worse=4, rows=first.rows[1:], truth=first.truth)
    shutil.copytree(first.folder / "dataset", second.folder / "dataset")
    second.compute()
    return first, second


def test_two_studies_share_a_page_of_the_images_that_both_have(
    pair: tuple[FinishedStudy, FinishedStudy],
) -> None:
    first, second = pair
    page = write_pair(first.folder, second.folder, {"random_walk.beta": ("<b>8", 4)})
    text = page.read_text("utf-8")
    data = data_of(text)
    assert page == second.folder / "report" / "beside-first.html"
    assert [run["name"] for run in data["runs"]] == ["first", "second"]
    assert all(images[0][1] == images[1][1] for images in data["images"])
    for run, study in zip(data["runs"], pair, strict=True):
        assert (page.parent / run["thumbnails"]).samefile(study.folder / "report" / "thumbnails")
    assert "&lt;b&gt;8" in text
    old, new = (read_json(study.folder / "scores" / "random_walk.json")["miou"] for study in pair)
    assert f"{100 * (new - old):+.1f}".replace("-", "−") in text


def test_the_command_says_where_the_page_is(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "told", train=2, val=1).draw()
    done = CliRunner().invoke(app, ["report", str(study.folder)])
    assert done.exit_code == 0, done.output
    assert str(study.folder / PAGE) in done.output


def test_the_command_refuses_a_folder_without_a_list_of_images(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "manifest.tsv: no such file" in done.output


def test_a_true_mask_of_another_size_is_an_error_of_the_command(tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "odd", train=2, val=1).draw()
    assert study.rows[0].mask
    write_mask(study.rows[0].mask, np.zeros((9, 9), np.uint8))
    done = CliRunner().invoke(app, ["report", str(study.folder)])
    assert done.exit_code == 2
    assert str(study.rows[0].image) in done.output
