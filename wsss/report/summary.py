"""The summary of a finished run: its scores as a table, and where the masks and the report are.

`wsss summary results/<study>` prints it again. It only reads JSON and imports nothing heavy, because the
Snakefile imports it in every job.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

COLUMNS = {"cams": "CAM", "random_walk": "pseudo mask", "segmentation": "segmentation"}


def summary(results: Path | str) -> str:
    """Describe the results of a study in the folder `results/<study>`: scores in percent, then places."""
    folder = Path(results)
    return "\n".join(
        [
            "",
            *_scores(folder),
            *_classifier(folder),
            *_chosen(folder),
            *_sweep(folder),
            "",
            *_places(folder),
            "",
        ]
    )


def _scores(folder: Path) -> list[str]:
    metrics = {stage: _read(folder / "scores" / f"{stage}.json") for stage in COLUMNS}
    if not any(metrics.values()):
        return []
    found = {stage: content for stage, content in metrics.items() if content.get("scored_images")}
    if not found:
        return [f"{folder.name}: no true masks, so no scores."]
    names = next(iter(found.values()))["iou"]
    return [
        _row(f"{folder.name}: IoU in %", (COLUMNS[stage] for stage in found)),
        *(_row(name, (_percent(m["iou"].get(name)) for m in found.values())) for name in names),
        _row("mean", (_percent(m["miou"]) for m in found.values())),
        _row("scored on", (f"{m['scored_images']} {m['split']}" for m in found.values())),
    ]


def _classifier(folder: Path) -> list[str]:
    metrics = _read(folder / "scores" / "classifier.json")
    seen = f"{metrics['scored_images']} {metrics['split']}" if metrics else ""
    return [f"  classifier: mAP {_percent(metrics['map'])} on {seen}"] if metrics else []


def _chosen(folder: Path) -> list[str]:
    """What was chosen for keys of the walk that said `auto` when the pseudo masks were made, if any did."""
    manifests = sorted(folder.glob("random_walk/train/*.h5.json"))
    settled = manifests and _read(manifests[0]).get("settled")
    reasons = _read(folder / "sweep" / "chosen.json") if settled else {}
    return [f"  random walk: {reasons['sentence']}"] if reasons else []


def _sweep(folder: Path) -> list[str]:
    """The three best points of a sweep, if there was one, and the overlay that holds the first."""
    file = folder / "sweep" / "points.json"
    found = _read(file)
    if not found:
        return []
    criterion, points = found["criterion"], found["points"]
    lines = [
        f"  {point['rank']}.  {criterion} {_percent(point[criterion])}  " + _walk(point)
        for point in points[:3]
    ]
    return [
        "",
        f"sweep: best of {len(points)} points on {found['images']} images of train, without dense CRF"
        + (", of CAMs and affinities that have changed since" if _older_than_its_inputs(file) else ""),
        *lines,
        f"  to run with the first: snakemake --configfile STUDY.yaml {file.with_name('best.yaml')}",
    ]


def _older_than_its_inputs(points: Path) -> bool:
    inputs = (
        file for name in ("cams/train", "affinities/train") for file in points.parents[1].glob(f"{name}/*")
    )
    return any(file.stat().st_mtime_ns > points.stat().st_mtime_ns for file in inputs)


def _walk(point: dict[str, Any]) -> str:
    key = "alpha" if point["background"] == "power" else "constant"
    after = "" if point["normalize"] == "none" else f", normalize {point['normalize']}"
    return f"{key} {point[key]:g}, beta {point['beta']:g}, t {point['t']}{after}"


def _places(folder: Path) -> list[str]:
    report = folder / "report.html"
    write_it = "" if report.exists() else f"   (snakemake --report {report} writes it)"
    masks = [f"masks:   {index.parent}/" for index in sorted(folder.glob("masks/*/*/index.tsv"))]
    return [*masks, f"report:  {report}{write_it}"]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _row(name: str, cells: Iterable[str]) -> str:
    return f"  {name:<24}" + "".join(f"{cell:>14}" for cell in cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
