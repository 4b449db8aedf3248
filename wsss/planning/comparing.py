"""Two studies side by side: scores per stage and class, configuration, and the images that differ most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss.report.summary import COLUMNS, percent
from wsss.results import Shards, image_miou, open_shards, read_confusions, read_json, read_masks
from wsss.study.config.fields import AUTO
from wsss.study.inner import place_of
from wsss.study.integrity import require_whole
from wsss.study.provenance import leaves, manifests

SHOWN_IMAGES = 5

ABSENT = "-"
"""Stands for a key that a study's kind of a section does not have."""


class Change(NamedTuple):
    """Scores of an image in both studies, in [0, 1]."""

    image: str
    before: float
    after: float


def comparison(before: Path, after: Path) -> str:
    """Compare the results in two folders `results/<study>`, as far as both have them: scores in percent.

    Raises:
        DamagedError: One of the files that are compared is damaged.
    """
    require_whole(*_compared(before), *_compared(after))
    sections = [
        _scores(before, after),
        _configuration(before, after),
        *(
            _images(before, after, stage) or _unscored(before, after, stage)
            for stage in ("random_walk", "segmentation")
        ),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _compared(folder: Path) -> list[Path]:
    """The files in a folder of results that a comparison reads."""
    masks = (path for stage in ("random_walk", "segmentation") for path in folder.glob(f"{stage}/*/*.h5"))
    return [*folder.glob("scores/*.json"), *folder.glob("scores/*.tsv"), *masks]


def differing_keys(before: Path, after: Path) -> dict[str, tuple[Any, Any]]:
    """Values of the configuration by key, where both studies have results of a rule and made them
    with different ones: of a key that says `auto`, those of a rule that knows its number.
    """
    old, new = _configured(before), _configured(after)
    found: dict[str, tuple[Any, Any]] = {}
    for made, remade in [(old[rule], new[rule]) for rule in old if rule in new]:
        for key in {**made, **remade}:
            values = made.get(key, ABSENT), remade.get(key, ABSENT)
            if values[0] != values[1] and not (key in found and AUTO in values):
                found[key] = values
    return found


def most_changed(before: Path, after: Path, stage: str) -> list[Change]:
    """The images that both studies have scored, from the largest change of their mIoU to the smallest."""
    old, new = _image_scores(before, stage), _image_scores(after, stage)
    changes = [Change(image, old[image], new[image]) for image in old if image in new]
    return sorted(changes, key=lambda change: (-abs(change.after - change.before), change.image))


def _scores(before: Path, after: Path) -> list[str]:
    lines = [f"{'':24}" + "".join(f"{name:>12.12}" for name in (before.name, after.name, "change"))]
    old, new = _metrics(before, "classifier"), _metrics(after, "classifier")
    if old and new:
        lines.append(_row("classifier, mAP in %", old["map"], new["map"]))
    for stage, title in COLUMNS.items():
        old, new = _metrics(before, stage), _metrics(after, stage)
        if not (old.get("scored_images") and new.get("scored_images")):
            continue
        lines += ["", f"{title}, IoU in %, on {_seen(old, new)}"]
        lines += [
            _row(f"  {name}", old["iou"].get(name), new["iou"].get(name)) for name in old["value_names"]
        ]
        lines.append(_row("  mean", old["miou"], new["miou"]))
    return lines if len(lines) > 1 else ["No stage has scores in both: they need true masks."]


def _seen(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    texts = [f"{metrics['scored_images']} {metrics['split']}" for metrics in (old, new)]
    return " and ".join(dict.fromkeys(texts))


def _row(name: str, old: float | None, new: float | None) -> str:
    change = "-" if old is None or new is None else f"{100 * (new - old):+.1f}"
    return f"{name:<24}" + "".join(f"{cell:>12}" for cell in (percent(old), percent(new), change))


def _configuration(before: Path, after: Path) -> list[str]:
    keys = differing_keys(before, after)
    if not keys:
        return ["configuration: the same in all that both have made"]
    return ["configuration:", *(f"  {key}: {old} → {new}" for key, (old, new) in keys.items())]


def _configured(folder: Path) -> dict[str, dict[str, Any]]:
    """What the results in a folder were made with, by rule and key: numbers in place of `auto`."""
    found = [
        manifest
        for artifact, manifest in manifests(folder).items()
        if manifest and not place_of(artifact.relative_to(folder).as_posix())
    ]
    return {manifest.rule: leaves(manifest.config) | manifest.settled for manifest in found}


def _images(before: Path, after: Path, stage: str) -> list[str]:
    changes = most_changed(before, after, stage)
    changed = [change for change in changes if change.before != change.after]
    if not changed:
        return []
    return [
        f"{COLUMNS[stage]}, images that changed most, of {len(changes)} (mIoU in %):",
        *(f"  {percent(old):>5} → {percent(new):>5}  {image}" for image, old, new in changed[:SHOWN_IMAGES]),
    ]


def changed_shares(before: Path, after: Path, stage: str) -> dict[str, float]:
    """Share in [0, 1] of each image's pixels that have another class in the masks of the other study."""
    with _masks(before, stage) as old, _masks(after, stage) as new:
        return {image: _changed_share(old[image], new[image]) for image in old if image in new}


def _masks(results: Path, stage: str) -> Shards[NDArray[np.uint8]]:
    return open_shards(sorted(results.glob(f"{stage}/*/*.h5")), read_masks)


def _changed_share(old: NDArray[np.uint8], new: NDArray[np.uint8]) -> float:
    return float(np.mean(old != new)) if old.shape == new.shape else 1.0


def _unscored(before: Path, after: Path, stage: str) -> list[str]:
    """The masks that differ most, where no true masks say which are better."""
    shares = changed_shares(before, after, stage)
    if not any(shares.values()):
        return []
    changed = sorted(shares, key=lambda image: (-shares[image], image))[:SHOWN_IMAGES]
    return [
        f"{COLUMNS[stage]}: {percent(fmean(shares.values()))} % of the pixels have another class; of "
        f"{len(shares)} images these changed most (in %):",
        *(f"  {percent(shares[image]):>5}  {image}" for image in changed if shares[image]),
    ]


def _image_scores(folder: Path, stage: str) -> dict[str, float]:
    metrics, table = _metrics(folder, stage), folder / "scores" / f"{stage}.tsv"
    if not metrics.get("scored_images") or not table.is_file():
        return {}
    n_values = len(metrics["value_names"])
    scored = [row for row in read_confusions(table, n_values) if row.split == metrics["split"]]
    return image_miou(scored, n_values)


def _metrics(folder: Path, stage: str) -> dict[str, Any]:
    path = folder / "scores" / f"{stage}.json"
    return dict(read_json(path)) if path.is_file() else {}
