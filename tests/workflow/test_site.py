"""The site of the documentation: `make docs` builds it without a warning, and it needs no connection."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "link": "href"}
"""Elements whose address a browser loads by itself."""

NOT_LOADED = {"next", "prev", "index", "search", "canonical", "author", "copyright", "genindex"}
"""What a `link` may be that is not loaded."""


class Page(HTMLParser):
    """The addresses of a page, and the names that links can lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attributes}
        self.names |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if (address := found.get(LOADED.get(tag, ""))) and found.get("rel") not in NOT_LOADED:
            self.loaded.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("site")
    line = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "-b", "html", "-d", "doctrees"]
    as_without_results = ["-D", "nb_execution_mode=off"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *line, *as_without_results, str(ROOT / "docs"), "html"],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_every_page_is_on_the_site(site: Path) -> None:
    sources = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} >= sources
    assert {path.stem for path in (site / "_generated").glob("*.html")} >= {
        *("configuration", "commands", "python", "changelog", "contributing", "security"),
    }


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Page]) -> None:
    elsewhere = {
        address
        for page in pages.values()
        for address in page.loaded
        if urlsplit(address).scheme not in ("", "data")
    }
    assert not elsewhere


def test_links_within_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    assert sum(len(page.links) for page in pages.values()) > 100
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            address, name = urldefrag(link)
            if urlsplit(address).scheme or not link or link == "#":
                continue
            target = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            if not target.exists() or (name and target in pages and unquote(name) not in pages[target].names):
                broken.append(f"{path.name}: {link}")
    assert not broken


def test_stylesheets_load_nothing_from_elsewhere(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        assert "@import" not in text
        assert "url(http" not in text.replace("url('http", "url(http").replace('url("http', "url(http")
