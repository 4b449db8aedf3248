"""The page: everything that the results of a study say, read from its folder, and nothing computed again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from markupsafe import Markup

from wsss.report.browser.charts import Confusion, confusion, inline_svg, sweep_maps
from wsss.report.browser.costs import benchmarked_jobs, costs
from wsss.report.browser.headline import tiles
from wsss.report.browser.images import PHOTOGRAPH, Images, missing_photographs
from wsss.report.browser.origins import origins
from wsss.report.browser.palettes import palettes
from wsss.report.browser.published import beside_published
from wsss.report.figures import plot_backgrounds, plot_history, plot_scores, score_table, sweep_table
from wsss.report.figures.scores import SEGMENTATION, Metrics
from wsss.report.health import health_notice
from wsss.report.histories import TITLES
from wsss.report.rendering import demoted, render
from wsss.report.rounds import SCORED, scores_of_rounds, share_sentence
from wsss.report.summary import inner_folders, last_folder
from wsss.report.tables.layout import Row, Table, html, percent
from wsss.results import read_history, read_json, write_text
from wsss.results.rows import list_files

PAGE = Path("report", "index.html")
"""Below the results of a study; the thumbnails are beside it."""

THUMBNAILS = "thumbnails"

STRIP = 12
"""Images on the first screen."""

IN_TABLE = {"affinities", *SCORED}
"""What the table of all scores needs."""


def write_report(folder: Path) -> Path:
    """Write the report to browse of a study, finished or not, and the thumbnails beside it.

    Args:
        folder: results of the study, `results/<study>`. Photographs are where its manifest says, relative to
            the working directory in which it ran.

    Returns:
        The page.

    Raises:
        ValueError: a photograph is missing or cannot be read, or a result is none; it is named.
    """
    page = folder / PAGE
    last = last_folder(folder)
    with Images(folder, last) as images:
        if missing := missing_photographs(images.rows):
            raise ValueError(
                f"{missing[0]}: no such photograph, and {len(missing) - 1:,} more; those in "
                f"{folder / 'dataset' / 'manifest.tsv'} are relative to the folder in which the study ran; "
                f"this is {Path.cwd()}"
            )
        page.parent.mkdir(parents=True, exist_ok=True)
        with _replacing_folder(page.with_name(THUMBNAILS)) as thumbnails:
            images.write_thumbnails(thumbnails)
            weight = sum(file.stat().st_size for file in thumbnails.iterdir())
            list_files(thumbnails, sorted(thumbnails.iterdir()))
        content = _content(folder, last, images)
        data = browsed([(folder.name, images, THUMBNAILS)], page.parent)
    write_text(page, render("browser", data=data, strip=strip_of(data), weight=weight, **content))
    return page


def browsed(runs: list[tuple[str, Images, str]], page: Path) -> dict[str, Any]:
    """What the page's script knows of the images that all runs have, as JSON values.

    Args:
        runs: name, images, and folder of thumbnails relative to the page, of one study or two. What images
            are and link to is taken from the last.
        page: folder of the page.
    """
    *_, (_, images, _) = runs
    plain = [
        {image[0]: [number, *image] for number, image in enumerate(found.plain(page))} for _, found, _ in runs
    ]
    views = [view for view in images.views() if all(view in found.views() for _, found, _ in runs)]
    values = [value for value in images.values if all(value.key in _keys(found) for _, found, _ in runs)]
    return {
        "names": list(images.names),
        "palettes": {name: colours.tolist() for name, colours in palettes(len(images.names)).items()},
        "views": views,
        "values": [[value.key, value.title] for value in values],
        "runs": [
            {
                "name": name,
                "thumbnails": thumbnails,
                "frames": [view for view in found.views() if view not in (PHOTOGRAPH, "CAM")],
                "has": [found.views().index(view) for view in views],
                "values": [_keys(found).index(value.key) for value in values],
            }
            for name, found, thumbnails in runs
        ],
        "images": [
            [known[row.id] for known in plain]
            for row in images.rows
            if all(row.id in known for known in plain)
        ],
    }


def _keys(images: Images) -> list[str]:
    return [value.key for value in images.values]


def strip_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A dozen images for the first screen, from one end of the list to the other, with their last masks."""
    run = data["runs"][-1]
    shown = [view for view in ("prediction", "pseudo mask", "confident regions") if view in run["frames"]]
    if not shown:
        return []
    place = data["views"].index(shown[0]) if shown[0] in data["views"] else 0
    found = [number for number, (*_, image) in enumerate(data["images"]) if image[6][run["has"][place]]]
    step = max(1, len(found) // STRIP)
    frames = run["frames"]
    return [
        {"place": place, "number": image[0], "id": image[1], "width": image[4], "height": image[5],
         "frame": frames.index(shown[0]), "frames": len(frames), "view": shown[0]}
        for place in found[::step][:STRIP]
        for image in [data["images"][place][-1]]
    ]  # fmt: skip


def _content(folder: Path, last: Path, images: Images) -> dict[str, Any]:
    metrics, own = _metrics(folder), scores_in(last)
    health = _json(folder / "health.json")
    made = origins(folder, health)
    places = [("", folder), *inner_folders(folder)]
    jobs = [job for prefix, place in places for job in benchmarked_jobs(place, prefix)]
    sweep = _json(last / "sweep" / "points.json")
    splits = {split: sum(row.split == split for row in images.rows) for split in ("train", "val", "test")}
    return {
        "study": folder.name,
        "classes": images.manifest.class_names,
        "splits": {split: count for split, count in splits.items() if count},
        "round": last.name if last != folder else "",
        "tiles": tiles(own),
        "health": health_notice(health) if health else "",
        "figures": _figures(own),
        "published": beside_published(folder.name, folder / "tables" / "results.tsv", own),
        "scores": demoted(score_table(metrics)) if set(metrics) >= IN_TABLE else "",
        "rounds": _rounds(metrics),
        "confusions": _confusions(own),
        "histories": _histories(folder, last),
        "sweep": sweep,
        "maps": sweep_maps(sweep) if sweep else [],
        "best_points": demoted(sweep_table(sweep)) if sweep else "",
        "costs": costs(jobs, SEGMENTATION[1]),
        "origins": made,
        "ranked": _json(last / "scores" / "quality.json").get("signals", {}).get("score", {}).get("spearman"),
    }


def scores_in(folder: Path) -> dict[str, Metrics]:
    """The scores in a folder by artifact; manifests, `cams.json.json`, are none."""
    files = sorted((folder / "scores").glob("*.json"))
    return {file.stem: read_json(file) for file in files if "." not in file.stem and file.stem != "quality"}


def _metrics(folder: Path) -> dict[str, Metrics]:
    """Those of later rounds and of full supervision too, with the prefix of their rules."""
    return {
        f"{prefix}{artifact}": metrics
        for prefix, place in [("", folder), *inner_folders(folder)]
        for artifact, metrics in scores_in(place).items()
        if not prefix or artifact in SCORED
    }


def _figures(metrics: Mapping[str, Metrics]) -> list[Markup]:
    if not set(SCORED) <= set(metrics):
        return []
    drawn = plot_scores(metrics)
    figures = [
        inline_svg(drawn, "IoU per class after each stage, whose values are in the table of all scores")
    ]
    if metrics["cams"]["scored_images"]:
        drawn = plot_backgrounds(metrics["cams"], metrics["random_walk"])
        figures.append(inline_svg(drawn, "mIoU of the CAMs over the background"))
    return figures


def _rounds(metrics: Mapping[str, Metrics]) -> Markup:
    rounds = scores_of_rounds(metrics)
    if len(rounds) < 2:
        return Markup("")
    head = ("mIoU in %", "CAMs or seeds", "pseudo masks", "segmentation, train", "segmentation, val")
    rows = tuple(Row((name, *map(percent, scores))) for name, *scores in rounds)
    return demoted(html([Table("Rounds", head, rows, share_sentence(rounds))]))


def _confusions(metrics: Mapping[str, Metrics]) -> list[Confusion]:
    named = {"pseudo masks": metrics.get("random_walk", {}), "segmentation": metrics.get("segmentation", {})}
    found = [
        confusion(f"{title}, {scores['scored_images']:,} images of {scores['split']}", scores)
        for title, scores in named.items()
        if scores.get("scored_images")
    ]
    return [matrix for matrix in found if matrix]


def _histories(folder: Path, last: Path) -> list[Markup]:
    """The curves of the networks: those of the last round, and those it shares with the study around."""
    places = {
        network: file
        for place in (folder, last)
        for network in TITLES
        if (file := place / network / "history.tsv").is_file()
    }
    return [
        inline_svg(
            plot_history(read_history(file), TITLES[network]),
            f"Training of {TITLES[network]}: loss and learning rate over epochs",
        )
        for network, file in places.items()
    ]


def _json(file: Path) -> dict[str, Any]:
    return dict(read_json(file)) if file.is_file() else {}


@contextmanager
def _replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when all is well, and is removed otherwise."""
    fresh = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    fresh.chmod(0o755)
    gone = fresh.with_name(f"{fresh.name}-old")
    try:
        yield fresh
        if folder.exists():
            folder.rename(gone)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(gone, ignore_errors=True)
