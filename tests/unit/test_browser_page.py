"""The report to browse in headless Chromium: slider, keys, filters, order, sizes, dark, two runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.unit.finished_study import CLASSES, FinishedStudy
from wsss.data import Manifest
from wsss.report.browser import PAGE, write_pair, write_report
from wsss.results import image_miou, read_confusions

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser is installed: none of {', '.join(NAMES)}")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page in a browser that keeps what it said and asked for."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}, **options})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.resolve().as_uri())

    def names(self) -> list[str]:
        """The images in the grid, in their order."""
        return [
            card.evaluate("caption => caption.firstChild.textContent")
            for card in self.page.locator("#grid .caption").all()
        ]

    def shown(self) -> str:
        return str(self.page.locator("#view-name").text_content())

    def layers(self) -> set[str]:
        """The layers over the photographs of the grid."""
        return {str(stage.get_attribute("data-layer")) for stage in self.page.locator("#grid .stage").all()}


@pytest.fixture
def opened(browser: Any, finished_study: FinishedStudy) -> Iterator[Opened]:
    found = Opened(browser, finished_study.folder / PAGE)
    yield found
    assert found.said == []
    assert {url.split(":")[0] for url in found.asked} <= {"file", "data"}
    found.context.close()


def test_names_are_shown_as_they_are(opened: Opened, finished_study: FinishedStudy) -> None:
    assert opened.page.locator("h1").text_content() == finished_study.folder.name
    assert set(opened.names()) == {row.id for row in finished_study.rows}
    options = opened.page.locator("#class option").all_text_contents()
    assert [option.rpartition(" (")[0] for option in options[1:-1]] == list(CLASSES)


def test_the_slider_changes_what_all_images_show(opened: Opened) -> None:
    slider = opened.page.get_by_role("slider", name="Show")
    slider.focus()
    seen = []
    for key in ("Home", *["ArrowRight"] * 5):
        slider.press(key)
        seen.append((opened.shown(), slider.get_attribute("aria-valuetext")))
    titles = ["photograph", "CAM", "confident regions", "pseudo mask", "prediction", "truth"]
    assert seen == [(title, title) for title in titles]


@pytest.mark.parametrize(("key", "view", "layers"), [
    ("1", "photograph", {"photograph"}), ("2", "CAM", {"heat", "none"}),
    ("4", "pseudo mask", {"masks", "none"}), ("6", "truth", {"masks"}),
])  # fmt: skip
def test_keys_choose_the_view(opened: Opened, key: str, view: str, layers: set[str]) -> None:
    opened.page.locator("body").press(key)
    assert opened.shown() == view
    assert opened.layers() == layers


def test_a_mask_is_the_frame_of_its_stage(opened: Opened) -> None:
    opened.page.locator("body").press("5")
    first = opened.page.locator("#grid .stage").first
    masks = first.locator(".masks")
    api.expect(masks).to_be_visible()
    stage, stack = first.bounding_box(), masks.bounding_box()
    assert stack["height"] == pytest.approx(4 * stage["height"], abs=1)
    assert stage["y"] - stack["y"] == pytest.approx(2 * stage["height"], abs=1)


def test_a_filter_leaves_the_images_of_a_class(opened: Opened, finished_study: FinishedStudy) -> None:
    opened.page.select_option("#class", "2")
    wanted = {row.id for row in finished_study.rows if 1 in row.labels}
    assert set(opened.names()) == wanted
    assert f"{len(wanted)} of {len(finished_study.rows)} images" in str(
        opened.page.locator("#count").text_content()
    )
    opened.page.select_option("#split", "val")
    assert set(opened.names()) == {name for name in wanted if name.startswith("val")}


def test_a_part_of_a_name_finds_an_image(opened: Opened) -> None:
    opened.page.get_by_role("searchbox", name="Name").fill("TRAIN/03")
    assert opened.names() == ["train/03<i>"]
    opened.page.get_by_role("searchbox", name="Name").fill("1")  # no key for a view here
    assert opened.shown() == "pseudo mask"


@pytest.mark.parametrize(("direction", "sign"), [("1", 1), ("-1", -1)])
def test_images_are_ordered_by_iou(
    opened: Opened, finished_study: FinishedStudy, direction: str, sign: int
) -> None:
    opened.page.select_option("#sort", "value:iou_segmentation")
    opened.page.select_option("#direction", direction)
    table = finished_study.folder / "scores" / "segmentation.tsv"
    miou = image_miou(read_confusions(table, len(CLASSES) + 1), len(CLASSES) + 1)
    found = [round(sign * miou[name], 4) for name in opened.names()]
    assert found == sorted(found)


def test_without_a_signal_images_come_last(opened: Opened, finished_study: FinishedStudy) -> None:
    trust = finished_study.trust()
    opened.page.select_option("#direction", "-1")
    names = opened.names()
    assert names[: len(trust)] == sorted(trust, key=lambda name: -trust[name])
    assert all(name.startswith("val") for name in names[len(trust) :])


def test_the_keyboard_opens_an_image_and_goes_on(opened: Opened) -> None:
    page, names = opened.page, opened.names()
    page.locator("#grid button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog")
    api.expect(viewer).to_be_visible()
    title = page.locator("#viewer-title")
    api.expect(title).to_have_text(names[1])
    page.keyboard.press("ArrowRight")
    api.expect(title).to_have_text(names[2])
    page.keyboard.press("6")
    api.expect(page.locator("#viewer-view-name")).to_have_text("truth")
    links = [unquote(str(link.get_attribute("href"))) for link in page.locator("#links a").all()]
    assert any(link.endswith(f"{names[2]}.png") for link in links)
    page.keyboard.press("Escape")
    api.expect(viewer).to_be_hidden()
    api.expect(page.locator("#grid button:focus .caption")).to_contain_text(names[2])


def test_colours_for_colour_blind_eyes(opened: Opened) -> None:
    swatch = opened.page.locator("#legend i").first
    before = swatch.evaluate("element => getComputedStyle(element).backgroundColor")
    opened.page.select_option("#palette", "safe")
    assert before == "rgb(128, 0, 0)"
    assert swatch.evaluate("element => getComputedStyle(element).backgroundColor") == "rgb(230, 159, 0)"
    assert opened.page.locator("#grid .masks").first.get_attribute("src") == "thumbnails/0-safe.png"


def test_a_point_of_the_sweep_says_more(opened: Opened) -> None:
    opened.page.locator("td[data-says]").nth(1).hover()
    assert "rank 2: α 4, β 8, t 64" in str(opened.page.locator("#point").text_content())


CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => (part / 255) ** 2.2);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const style = (selector) => getComputedStyle(document.querySelector(selector));
  const paper = light(style("body").backgroundColor);
  return ["body", ".note", "nav a"].map((selector) => {
    const ink = light(style(selector).color);
    return Math.max(ink, paper) / Math.min(ink, paper);
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1000, 2000])
def test_the_page_fits_and_can_be_read(
    browser: Any, finished_study: FinishedStudy, width: int, scheme: str
) -> None:
    viewport = {"width": width, "height": 900}
    opened = Opened(browser, finished_study.folder / PAGE, viewport=viewport, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert min(opened.page.evaluate(CONTRAST)) > 4.5
    paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    opened.page.locator("#grid button").first.click()
    assert opened.page.locator("dialog").bounding_box()["width"] <= width
    assert opened.said == []
    opened.context.close()


def test_what_can_be_used_has_a_name(opened: Opened) -> None:
    unnamed = opened.page.evaluate("""() => [...document.querySelectorAll("button, a, select, input, dialog")]
        .filter((element) => !(element.getAttribute("aria-label") ?? "").trim() && !element.textContent.trim()
            && !element.labels?.length && !element.hasAttribute("aria-labelledby"))
        .map((element) => element.outerHTML)""")
    assert unnamed == []
    assert opened.page.evaluate("[...document.images].every((image) => image.hasAttribute('alt'))")
    assert opened.page.evaluate("[...document.querySelectorAll('svg')].every((svg) => svg.ariaLabel)")


def test_2000_images_are_drawn_as_one_comes_to_them(browser: Any, tmp_path: Path) -> None:
    study = FinishedStudy(tmp_path / "many", train=1, val=0, size=32, classes=("cat",)).draw()
    (row,) = study.rows
    rows = tuple(type(row)(f"{number:04d}", *list(vars(row).values())[1:]) for number in range(2000))
    Manifest(tuple(CLASSES), rows).write(study.folder / "dataset" / "manifest.tsv")
    page = write_report(study.folder)
    assert page.stat().st_size < 1_000_000
    opened = Opened(browser, page)
    first = opened.page.locator("#grid li").count()
    assert first < 200
    assert sum("thumbnails/" in url for url in opened.asked) < 400
    opened.page.locator("#grid li").last.scroll_into_view_if_needed()
    api.expect(opened.page.locator("#grid li").nth(first)).to_be_attached()
    opened.page.get_by_role("searchbox", name="Name").fill("1999")
    assert opened.names() == ["1999"]
    assert opened.said == []
    opened.context.close()


def test_two_runs_are_flipped_between(browser: Any, tmp_path: Path) -> None:
    first = FinishedStudy(tmp_path / "first").draw().compute()
    second = FinishedStudy(tmp_path / "second", worse=4, rows=first.rows, truth=first.truth)
    shutil.copytree(first.folder / "dataset", second.folder / "dataset")
    opened = Opened(browser, write_pair(first.folder, second.compute().folder, {}))
    opened.page.locator("body").press("5")  # which all images have
    masks = opened.page.locator("#grid .masks").first
    sources = []
    for _ in range(3):
        sources.append(str(masks.get_attribute("src")).rpartition("/")[0])
        opened.page.locator("body").press("f")
    assert sources == ["thumbnails", "../../first/report/thumbnails", "thumbnails"]
    changes = [
        abs(float(text.rpartition("(")[2].rstrip(")").replace("−", "-")))
        for text in opened.page.locator("#grid .caption span:nth-of-type(2)").all_text_contents()
    ]
    assert changes == sorted(changes, reverse=True)
    assert opened.said == []
    opened.context.close()
