"""Pages of HTML that need no other file.

In a page pictures can be taller than the screen: by themselves, the report cuts off their top.
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from PIL import Image

from wsss.report.figures.style import FAINT, INK, MUTED
from wsss.report.rendering import render
from wsss.results import write_text

LARGEST = 1_100_000
"""Bytes of a page's pictures. Chromium shows no page of more than 2 MiB, and base64 adds a third, twice."""


class Picture(NamedTuple):
    """An image in a page: `kind` is png or jpeg, `code` its bytes in base64, `width` in the page's pixels."""

    name: str
    width: int
    kind: str
    code: str


def write_page(path: str | Path, title: str, *content: Markup) -> None:
    """Write a page of pieces of HTML, under a temporary name until it is whole; other text is escaped."""
    write_text(path, render("page", title=title, content=content, ink=INK, muted=MUTED, faint=FAINT))


def pictures(*paths: str | Path) -> Markup:
    """Embed PNGs, shown at half their pixels; as JPEG where that is smaller, and coarser to fit in a page."""
    return render("pictures", pictures=[_picture(Path(path), LARGEST // len(paths)) for path in paths])


def _picture(path: Path, largest: int) -> Picture:
    with Image.open(path, formats=["PNG"]) as image:
        width = image.width // 2
        choices = [("png", path.read_bytes()), ("jpeg", _fitting_jpeg(image.convert("RGB"), largest))]
    kind, data = min(choices, key=lambda choice: len(choice[1]))
    return Picture(path.stem, width, kind, b64encode(data).decode("ascii"))


def _fitting_jpeg(image: Image.Image, largest: int) -> bytes:
    """Compress a picture as little as gives at most so many bytes."""
    for reduction, quality in itertools.product((1, 2, 4, 8), (90, 75, 60)):
        file = BytesIO()
        image.reduce(reduction).save(file, "JPEG", quality=quality, subsampling=0)
        if file.tell() <= largest:
            break
    return file.getvalue()
