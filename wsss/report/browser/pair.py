"""Two studies side by side: what differs in scores and settings, and the images that have changed most."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from wsss.report.browser.headline import scored_on_the_road
from wsss.report.browser.images import Images
from wsss.report.browser.page import PAGE, THUMBNAILS, browsed, scores_in, write_report
from wsss.report.figures.scores import Metrics, Scored
from wsss.report.rendering import render
from wsss.report.sections import Cell, Line, Section
from wsss.report.summary import last_folder, percent, points
from wsss.results import write_text

ABSENT = "–"


def write_pair(before: Path, after: Path, settings: Mapping[str, tuple[Any, Any]]) -> Path:
    """Write the reports of two studies, and a page in the second's that has both side by side.

    Args:
        before, after: results of the studies, `results/<study>`.
        settings: values of the configuration that differ, by key.

    Returns:
        The page.

    Raises:
        ValueError: a study has no image of the other, or as for `write_report`; the message names it.
    """
    for folder in (before, after):
        write_report(folder)
    page = (after / PAGE).with_name(f"beside-{before.name}.html")
    with ExitStack() as stack:
        runs = []
        for folder in (before, after):
            images = stack.enter_context(Images(folder, last_folder(folder)))
            thumbnails = os.path.relpath((folder / PAGE).with_name(THUMBNAILS), page.parent)
            runs.append((folder.name, images, thumbnails))
        data = browsed(runs, page.parent)
    if not data["images"]:
        raise ValueError(f"{before} and {after} have no image in common")
    tables = differences(*(scores_in(last_folder(folder)) for folder in (before, after)))
    names = {"before": before.name, "after": after.name}
    text = render("browser_pair", tables=list(tables), settings=settings, data=data, **names)
    write_text(page, text)
    return page


def differences(before: Mapping[str, Metrics], after: Mapping[str, Metrics]) -> Iterator[Section]:
    """A table for what both have scored on the same split: IoU of each class in both, and the change.

    Args:
        before, after: by artifact, the content of `scores/<artifact>.json`.
    """
    old, new = ({_key(scored): scored for scored in scored_on_the_road(found)} for found in (before, after))
    for key, scored in new.items():
        if key in old:
            yield _differences(old[key], scored)


def _key(scored: Scored) -> tuple[str, str]:
    return scored.name, scored.metrics["split"]


def _differences(old: Scored, new: Scored) -> Section:
    names = [name for name in new.metrics["value_names"] if name in old.metrics["iou"]]
    lines = [_line("mean", old.metrics["miou"], new.metrics["miou"], "mean")]
    lines += [_line(name, old.metrics["iou"][name], new.metrics["iou"][name]) for name in names]
    seen = {f"{scored.metrics['scored_images']:,}" for scored in (old, new)}
    title = f"{new.name}, IoU in % on {' and '.join(sorted(seen))} images of {new.metrics['split']}"
    return Section(title, tuple(map(Cell, ("class", "before", "after", "change"))), tuple(lines))


def _line(name: str, old: float | None, new: float | None, kind: str = "") -> Line:
    change = ABSENT if old is None or new is None else points(new - old)
    return Line((Cell(name), Cell(percent(old)), Cell(percent(new)), Cell(change)), kind)
