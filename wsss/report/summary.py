"""The summary of a finished run: its scores as a table, where masks and report are, and what is wrong.

`wsss summary` prints it again. It only reads JSON and imports nothing heavy, because the
Snakefile imports it in every job.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wsss.report.rounds import SCORED, scores_of_rounds, share_sentence
from wsss.study.inner import FULL, ROUND
from wsss.study.integrity import require_whole
from wsss.study.invocation import Invocation
from wsss.study.provenance import DamagedError, file_digest

ROAD = ("dataset", "classifier", "cams", "confident", "random_walk", "segmentation")
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
    try:
        return _summary(Path(results), invocation)
    except DamagedError as error:
        return f"\n{error}\n"


def _summary(folder: Path, invocation: Invocation | None) -> str:
    parts = _parts(folder)
    invocation = invocation or Invocation.of_environment() or _last_invocation(parts)
    return "\n".join(
        [
            "",
            *_scores(folder),
            *_classifier(folder),
            *_rounds(folder),
            *_chosen(folder),
            *_sweep(folder, invocation),
            "",
            *_places(folder, invocation),
            *(["", *_health(parts, invocation or Invocation(), folder)] if parts else []),
            "",
        ]
    )


def findings(results: Path | str) -> list[str]:
    """The alarms and warnings of the parts that have been checked, without what helps: alarms first."""
    try:
        return [_head(finding) for finding in _findings(map(_read_part, _parts(Path(results))))]
    except DamagedError as error:
        return str(error).splitlines()


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
        *(_row(name, (percent(m["iou"].get(name)) for m in found.values())) for name in names),
        _row("mean", (percent(m["miou"]) for m in found.values())),
        _row("scored on", (f"{m['scored_images']} {m['split']}" for m in found.values())),
    ]


def _classifier(folder: Path) -> list[str]:
    metrics = _read(folder / "scores" / "classifier.json")
    seen = f"{metrics['scored_images']} {metrics['split']}" if metrics else ""
    return [f"  classifier: mAP {percent(metrics['map'])} on {seen}"] if metrics else []


def _rounds(folder: Path) -> list[str]:
    """What later rounds have gained, and how far it is to full supervision, if the study asks for either."""
    rounds = scores_of_rounds(
        {
            f"{prefix}{artifact}": _read(place / "scores" / f"{artifact}.json")
            for prefix, place in [("", folder), *inner_folders(folder)]
            for artifact in SCORED
            if (place / "scores" / f"{artifact}.json").is_file()
        }
    )
    if len(rounds) < 2:
        return []
    share = share_sentence(rounds)
    return [
        "",
        _row("mIoU in %", ("seeds", "pseudo mask", "segm. train", "segm. val")),
        *(_row(name, map(percent, scores)) for name, *scores in rounds),
        *([f"  {share}"] if share else []),
    ]


def inner_folders(folder: Path) -> list[tuple[str, Path]]:
    """The folders of later rounds and of full supervision that are there, with the prefix of their rules."""
    rounds = sorted(folder.glob("rounds/*"), key=lambda path: int(path.name) if path.name.isdigit() else 0)
    found = [(ROUND.format(path.name), path) for path in rounds]
    return [*found, *([(FULL.prefix, folder / FULL.folder)] if (folder / FULL.folder).is_dir() else [])]


def last_folder(folder: Path) -> Path:
    """The results of a study's last round: the folder itself if it has one round."""
    return [folder, *(place for prefix, place in inner_folders(folder) if prefix != FULL.prefix)][-1]


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
        f"  {point['rank']}.  {criterion} {percent(point[criterion])}  " + _walk(point)
        for point in points[:3]
    ]
    best = file.with_name("best.yaml")
    run_it = invocation.command(overlays=[str(best)]) if invocation else f"its file is {best}"
    return [
        "",
        f"sweep: best of {len(points)} points on {found['images']} images of train, without dense CRF"
        + (", of CAMs and affinities that have changed since" if _older_than_its_inputs(file) else ""),
        *lines,
        *_finished(file.with_name("finished.json")),
        f"  to run with the best: {run_it}",
    ]


def _finished(file: Path) -> list[str]:
    """The points of a sweep that were finished with the dense CRF, if any were, the best first."""
    found = _read(file)
    if not found or not found["finalists"]:
        return []
    points = sorted(found["finalists"], key=lambda point: float(point["finished"]), reverse=True)
    criterion, alone = found["criterion"], percent(found["score_of_cams"])
    return [
        f"with the dense CRF, on {found['images']} of these images; the CAMs alone have {alone}:",
        *(
            f"  {place}.  {criterion} {percent(point['finished'])}  {_walk(point)}"
            for place, point in enumerate(points[:3], 1)
        ),
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


def _health(parts: list[Path], invocation: Invocation, folder: Path) -> list[str]:
    health, place = [_read_part(path) for path in parts], _place(parts, folder)
    count = sum(len(part["findings"]) + len(part["silent"]) for part in health)
    found = _findings(health)
    if not found:
        return [f"health:  nothing found in {count} checks ({place})"]
    counts = Counter(finding["severity"] for finding in found)
    words = [f"{number} {word}{'s' * (number > 1)}" for word, number in counts.items()]
    explained, others = found[:EXPLAINED], found[EXPLAINED:]
    last = f"last {len(others)}" if len(others) > 1 else "last one"
    more = f"; what helps against the {last} is there" if others else ""
    cause = ["         The first may be the cause of the others."] if len(found) > 1 else []
    return [
        f"health:  {' and '.join(words)} in {count} checks ({place}{more})",
        *cause,
        *(line for finding in explained for line in ["", *_finding(finding, invocation, folder)]),
        *([""] if others else []),
        *(line for finding in others for line in wrapped(_head(finding), "  ")),
    ]


def _findings(health: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alarms before warnings, else in the order of the road."""
    found = (finding for part in health for finding in part["findings"])
    return sorted(found, key=lambda finding: finding["severity"] != "alarm")


def _place(parts: list[Path], folder: Path) -> Path:
    """The file with all findings; the folder of the parts if it is older than one of them, or missing."""
    file = folder / "health.json"
    newest = max(part.stat().st_mtime_ns for part in parts)
    return file if file.exists() and file.stat().st_mtime_ns >= newest else folder / "health"


def _finding(finding: dict[str, Any], invocation: Invocation, folder: Path) -> list[str]:
    """Title and figure, what it means, and what helps."""
    texts = (invocation.runnable(text, folder) for text in finding["help"])
    helps = [line for text in texts for line in wrapped(text, "    - ")]
    return [*wrapped(_head(finding), "  "), *wrapped(finding["meaning"], "    "), *helps]


def _head(finding: dict[str, Any]) -> str:
    return f"{finding['severity'].upper()}  {finding['title']}: {finding['figure']}"


def wrapped(text: str, margin: str = "") -> list[str]:
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


def _last_invocation(parts: list[Path]) -> Invocation | None:
    """That of the part that was checked last: a branch has parts of the study that it comes from."""
    last = max(parts, key=lambda path: path.stat().st_mtime_ns, default=None)
    return Invocation.from_json(_read(last)["invocation"]) if last else None


def _parts(folder: Path) -> list[Path]:
    """The files of the parts that have been checked as they are now, in the order of the road."""
    places = [folder, *(place for _, place in inner_folders(folder))]
    files = [place / "health" / f"{part}.json" for place in places for part in ROAD]
    return [file for file in files if file.is_file() and _is_current(file)]


def _is_current(part: Path) -> bool:
    """Whether the inputs of a part, which its manifest names, are still those that were checked."""
    inputs = _read(Path(f"{part}.json")).get("inputs", {})
    checked = part.stat().st_mtime_ns
    return bool(inputs) and all(
        Path(file).is_file() and (Path(file).stat().st_mtime_ns <= checked or file_digest(file) == digest)
        for file, digest in inputs.items()
    )


def _places(folder: Path, invocation: Invocation | None) -> list[str]:
    """Masks and report; a run that ended before the report's pages has nothing to collect."""
    last = last_folder(folder)
    masks = [f"masks:   {index.parent}/" for index in sorted(last.glob("masks/*/*/index.tsv"))]
    masks += _look_first(last)
    page = folder / "report" / "index.html"
    masks += [f"images:  {page}   (all of them and all scores, for a browser)"] if page.is_file() else []
    report = folder / "report.html"
    if report.exists():
        return [*masks, f"report:  {report}"]
    if not (folder / "report" / "scores.html").exists():
        return masks
    write_it = f"{invocation.command('--report', str(report))} writes it" if invocation else "not written yet"
    return [*masks, f"report:  {report}   ({write_it})"]


def _read_part(path: Path) -> dict[str, Any]:
    """What the check of a part has found; titles name the round if it is not the first."""
    content, within = _read(path), path.parents[2]
    if within.name != "rounds":
        return content
    titled = [
        finding | {"title": f"round {path.parents[1].name}: {finding['title']}"}
        for finding in content["findings"]
    ]
    return content | {"findings": titled}


def _look_first(folder: Path) -> list[str]:
    """The list of masks that a person should look at first, and how well it ranks if that is known."""
    table = folder / "quality" / "images.tsv"
    if not table.is_file():
        return []
    ranks = _read(folder / "scores" / "quality.json").get("signals", {}).get("score", {}).get("spearman")
    known = "" if ranks is None else f"; rank correlation with mIoU {ranks:.2f}"
    return [f"quality: {table}   (pseudo masks, those to look at first on top{known})"]


def _read(path: Path) -> dict[str, Any]:
    require_whole(path)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _row(name: str, cells: Iterable[str]) -> str:
    return f"  {name:<24}" + "".join(f"{cell:>14}" for cell in cells)


def percent(share: float | None) -> str:
    """A score in [0, 1] in percent, with one digit; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.1f}"


def points(change: float) -> str:
    """A difference of two scores in points, with its sign and one digit."""
    return f"{100 * change:+.1f}".replace("-", "−")
