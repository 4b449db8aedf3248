"""Pages of HTML that need no other file.

In a page pictures can be taller than the screen: by themselves, the report cuts off their top.
"""

from __future__ import annotations

import itertools
from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template

from PIL import Image

from wsss.report.figures.style import FAINT, INK, MUTED
from wsss.results import write_text

LARGEST = 1_100_000
"""Bytes of a page's pictures. Chromium shows no page of more than 2 MiB, and base64 adds a third, twice."""

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>$title</title>
<style>
  :root { color-scheme: light dark;
          --ink: $ink; --muted: $muted; --faint: $faint; --paper: #fff; --own: #f3f4f7; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6e8ec; --muted: #9ca3af; --faint: #363b46; --paper: #16181d; --own: #262a33; }
    thead span { filter: brightness(1.6); }
  }
  body { font: 15px/1.5 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; color: var(--ink);
         background: var(--paper); max-width: 82rem; margin: 0 auto; padding: 0 1.5rem 2rem; }
  img { display: block; max-width: 100%; margin: 1rem 0 2rem; background: #fff; }
  h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: .32rem .9rem; text-align: right; border-bottom: 1px solid var(--faint);
           min-width: 4.5rem; }
  th:first-child, td:first-child { text-align: left; padding-left: .3rem; }
  thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); }
  thead small, .note, dd { font-weight: normal; color: var(--muted); }
  tr.mean, tr.study { font-weight: bold; background: var(--own); }
  tr.difference { color: var(--muted); }
  table .text { text-align: left; }
  .wide, .plain { margin-bottom: .6rem; }
  .wide { width: 100%; font-size: 12.5px; }
  .wide th, .wide td { min-width: 0; padding: .25rem .42rem; }
  .wide th:first-child, .wide td:first-child { white-space: nowrap; }
  td { background: linear-gradient(var(--tint), var(--tint)) no-repeat
       right .9rem bottom 2px / calc(var(--share) * 4.5rem) 3px; }
  .wide td { background-position: right .42rem bottom 2px; }
  dt { font-weight: bold; margin-top: .6rem; } dd, .note { margin: 0; max-width: 50rem; }
</style>
$content
</html>
"""
)


def write_page(path: str | Path, title: str, *content: str) -> None:
    """Write a page of pieces of HTML, under a temporary name until it is whole."""
    text = PAGE.substitute(title=escape(title), ink=INK, muted=MUTED, faint=FAINT, content="\n".join(content))
    write_text(path, text)


def pictures(*paths: str | Path) -> str:
    """Embed PNGs, shown at half their pixels; as JPEG where that is smaller, and coarser to fit in a page."""
    return "\n".join(_picture(Path(path), LARGEST // len(paths)) for path in paths)


def _picture(path: Path, largest: int) -> str:
    with Image.open(path) as image:
        width = image.width // 2
        choices = [("png", path.read_bytes()), ("jpeg", _fitting_jpeg(image.convert("RGB"), largest))]
    kind, data = min(choices, key=lambda choice: len(choice[1]))
    code = b64encode(data).decode("ascii")
    return f'<img width="{width}" alt="{escape(path.stem)}" src="data:image/{kind};base64,{code}">'


def _fitting_jpeg(image: Image.Image, largest: int) -> bytes:
    """Compress a picture as little as gives at most so many bytes."""
    for reduction, quality in itertools.product((1, 2, 4, 8), (90, 75, 60)):
        file = BytesIO()
        image.reduce(reduction).save(file, "JPEG", quality=quality, subsampling=0)
        if file.tell() <= largest:
            break
    return file.getvalue()
