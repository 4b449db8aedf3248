"""The summary of a finished run: its scores as a table, where masks and report are, and what is wrong.

`wsss summary` prints it again. It only reads JSON and imports nothing heavy, because the
Snakefile imports it in every job.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wsss.study.invocation import Invocation

ROAD = ("dataset", "classifier", "cams", "random_walk", "segmentation")
"""Parts of the road that are checked by themselves, see `wsss.stages.health.PARTS`."""

EXPLAINED = 5
"""Findings that the terminal explains; those below are mostly what the first ones cause."""

COLUMNS = {"cams": "CAM", "random_walk": "pseudo mask", "segmentation": "segmentation"}


def summary(results: Path | str, invocation: Invocation | None = None) -> str:
    """Describe the results of a study in the folder `results/<study>`.

    Scores come first, in percent, then places, and at the end, where people look, alarms and warnings.

    Args:
        results: the folder.
        invocation: how Snakemake is started for the study; by default as in this process, or as in the run
            that has checked its health. Commands are left out if nobody knows.
    """
    folder = Path(results)
    health = _read(folder / "health.json")
    invocation = invocation or Invocation.of_environment() or _invocation(health)
    return "\n".join(
        [
            "",
            *_scores(folder),
            *_classifier(folder),
            *_chosen(folder),
            *_sweep(folder, invocation),
            "",
            *_places(folder, invocation),
            *(["", *_health(health, folder)] if health else []),
            "",
        ]
    )


def findings(results: Path | str) -> list[str]:
    """List the alarms and warnings of a run that has not finished: those of the parts that have."""
    parts = [path for path in Path(results, "health").glob("*.json") if _is_current_part(path)]
    in_order = sorted(parts, key=lambda path: ROAD.index(path.stem))
    found = [finding for path in in_order for finding in _read(path)["findings"]]
    return [line for finding in found for line in _wrapped(_head(finding), "")]


def _scores(folder: Path) -> list[str]:
    metrics = {stage: _read(folder / "scores" / f"{stage}.json") for stage in COLUMNS}
    if not any(metrics.values()):
        return []
    found = {stage: content for stage, content in metrics.items() if content.get("scored_images")}
    if not found:
        return [f"{folder.name}: no true masks, so no scores."]
    names = next(iter(found.values()))["value_names"]
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


def _sweep(folder: Path, invocation: Invocation | None) -> list[str]:
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
    best = file.with_name("best.yaml")
    run_it = invocation.command(overlays=[str(best)]) if invocation else f"its file is {best}"
    return [
        "",
        f"sweep: best of {len(points)} points on {found['images']} images of train, without dense CRF"
        + (", of CAMs and affinities that have changed since" if _older_than_its_inputs(file) else ""),
        *lines,
        f"  to run with the first: {run_it}",
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


def _health(health: dict[str, Any], folder: Path) -> list[str]:
    count = len(health["findings"]) + len(health["silent"])
    if not health["findings"]:
        return [f"health:  nothing found in {count} checks ({folder / 'health.json'})"]
    counts = {"alarm": health["alarms"], "warning": health["warnings"]}
    words = [f"{number} {word}{'s' * (number > 1)}" for word, number in counts.items() if number]
    explained, others = health["findings"][:EXPLAINED], health["findings"][EXPLAINED:]
    more = f"; what helps against the last {len(others)} is there" if others else ""
    cause = ["         The first may be the cause of the others."] if len(health["findings"]) > 1 else []
    return [
        f"health:  {' and '.join(words)} in {count} checks ({folder / 'health.json'}{more})",
        *cause,
        *(line for finding in explained for line in ["", *_finding(finding)]),
        *([""] if others else []),
        *(line for finding in others for line in _wrapped(_head(finding), "  ")),
    ]


def _finding(finding: dict[str, Any]) -> list[str]:
    """Title and figure, what it means, and what helps."""
    helps = [line for text in finding["help"] for line in _wrapped(text, "    - ")]
    return [*_wrapped(_head(finding), "  "), *_wrapped(finding["meaning"], "    "), *helps]


def _head(finding: dict[str, Any]) -> str:
    return f"{finding['severity'].upper()}  {finding['title']}: {finding['figure']}"


def _wrapped(text: str, margin: str) -> list[str]:
    """Wrap a text, but not the code spans in it: a command can be copied from one line."""
    unbroken = re.sub(r"`[^`]*`", lambda span: span[0].replace(" ", "\0"), text)
    indent = " " * max(4, len(margin))
    lines = textwrap.wrap(
        unbroken,
        100,
        initial_indent=margin,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def _invocation(health: dict[str, Any]) -> Invocation | None:
    return Invocation.from_json(health["invocation"]) if health else None


def _is_current_part(path: Path) -> bool:
    """Whether this is the health of a part, written after its inputs, which its manifest names."""
    manifest = _read(Path(f"{path}.json"))
    inputs = [Path(file) for file in manifest.get("inputs", ())]
    checked = path.stat().st_mtime_ns
    return (
        path.stem in ROAD
        and bool(inputs)
        and all(file.exists() and file.stat().st_mtime_ns <= checked for file in inputs)
    )


def _places(folder: Path, invocation: Invocation | None) -> list[str]:
    report = folder / "report.html"
    write_it = "" if report.exists() else "   (not written yet)"
    if invocation and write_it:
        write_it = f"   ({invocation.command('--report', str(report))} writes it)"
    masks = [f"masks:   {index.parent}/" for index in sorted(folder.glob("masks/*/*/index.tsv"))]
    return [*masks, f"report:  {report}{write_it}"]


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _row(name: str, cells: Iterable[str]) -> str:
    return f"  {name:<24}" + "".join(f"{cell:>14}" for cell in cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
