"""A study over several seeds: a study for each, what they share, and the spread of their scores.

The study itself counts as the one of its own seed. The others are studies called `<name>-seed<n>` with
results of their own, which take over what does not depend on the seed, the data set above all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import yaml

from wsss.planning.branching import share
from wsss.planning.yaml_text import block_style
from wsss.report.summary import percent
from wsss.results import read_json, write_json, write_table, write_text
from wsss.study.config import Study, merged, read_study

SCORES = "scores"
"""Name of the tables, `.tsv` and `.json`."""


class Seed(NamedTuple):
    """A study with one of the seeds: its number, the study, and the YAML files that describe it."""

    number: int
    study: Study
    overlays: tuple[Path, ...]

    @property
    def results(self) -> Path:
        """The folder of its results."""
        return Path(self.study.results, self.study.name)


class Spread(NamedTuple):
    """A score over several seeds, all in [0, 1].

    Attributes:
        score: its name.
        mean, lowest, highest: over the seeds.
        deviation: sample standard deviation; nan of a single seed.
        seeds: the score by seed; without those that do not have it.
    """

    score: str
    mean: float
    deviation: float
    lowest: float
    highest: float
    seeds: Mapping[int, float]


def gathered(study: Study) -> Path:
    """The folder of what is gathered over the seeds of a study: overlays and tables."""
    return Path(study.results, f"{study.name}-seeds")


def seed_studies(base: Path, overlays: Sequence[Path], numbers: Iterable[int], folder: Path) -> list[Seed]:
    """Describe a study for each seed, the one that is there already first; write its overlay if it has none.

    Args:
        base: `config.yaml`.
        overlays: of the study.
        numbers: the seeds; one that is there twice counts once.
        folder: for the overlays `seed<n>.yaml`, each a whole study; those with the same content are kept.

    Raises:
        ConfigError: The study is invalid, or a seed is.
    """
    study = read_study(base, *overlays)
    values: dict[str, Any] = {}
    for file in overlays:
        values = merged(values, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    seeds = [
        Seed(number, study, tuple(overlays))
        if number == study.seed
        else _other_seed(base, {"name": study.name, **values}, study.name, number, folder)
        for number in dict.fromkeys(numbers)
    ]
    return sorted(seeds, key=lambda seed: seed.number != study.seed)


def _other_seed(base: Path, values: Mapping[str, Any], name: str, number: int, folder: Path) -> Seed:
    changed = merged(values, {"name": f"{name}-seed{number}", "seed": number})
    file, text = folder / f"seed{number}.yaml", f"# {name} with seed {number}\n{block_style(changed)}"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)
    return Seed(number, read_study(base, file), (file,))


def share_with(origin: Study, seed: Seed) -> list[str]:
    """Give a seed that has no results yet what another study has and the seed does not decide.

    Returns:
        The rules whose results it has now; none if it has results already, or if Snakemake remembers none of
        the other, because there are none or they were copied from elsewhere.
    """
    if seed.results.exists():
        return []
    try:
        return share(origin, seed.study).kept
    except FileNotFoundError:
        return []


def headline(results: Path) -> dict[str, float]:
    """Read the scores by which studies are compared, each in [0, 1], as far as a study has them.

    Args:
        results: the folder `results/<study>`.

    Returns:
        By name, in the order of the road: of CAMs those at their best constant background, and the same after
        the dense CRF; of masks the mIoU of each split.
    """
    classifier, cams, masks, predicted = (
        _metrics(results, name) for name in ("classifier", "cams", "random_walk", "segmentation")
    )
    found = {
        _named("classifier, mAP", classifier): classifier.get("map"),
        _named("CAM, best constant", cams): cams.get("miou"),
        _named("CAM + dCRF", cams.get("dense_crf", {})): cams.get("dense_crf", {}).get("miou"),
        **{_named("pseudo masks", of): of["miou"] for of in _splits(masks)},
        **{_named("segmentation", of): of["miou"] for of in _splits(predicted)},
    }
    return {name: value for name, value in found.items() if value is not None}


def _metrics(results: Path, artifact: str) -> dict[str, Any]:
    path = results / "scores" / f"{artifact}.json"
    return dict(read_json(path)) if path.is_file() else {}


def _splits(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The metrics of the split that is meant by "the score", and of others that are scored beside it."""
    others = (metrics[split] for split in ("train", "val") if split in metrics)
    return [of for of in (metrics, *others) if of.get("scored_images")]


def _named(score: str, metrics: Mapping[str, Any]) -> str:
    return f"{score} on {metrics['split']}" if metrics.get("split") else score


def spreads(scores: Mapping[int, Mapping[str, float]]) -> list[Spread]:
    """Gather the scores of several seeds, in the order in which they first appear.

    Args:
        scores: by seed and by name, each in [0, 1], as `headline` gives them.
    """
    names = dict.fromkeys(name for of_seed in scores.values() for name in of_seed)
    return [
        _spread(name, {seed: of_seed[name] for seed, of_seed in scores.items() if name in of_seed})
        for name in names
    ]


def _spread(name: str, seeds: Mapping[int, float]) -> Spread:
    values = list(seeds.values())
    deviation = stdev(values) if len(values) > 1 else math.nan
    return Spread(name, fmean(values), deviation, min(values), max(values), seeds)


def seeds_table(found: Sequence[Spread], seeds: Sequence[int]) -> str:
    """Lay out scores for the terminal, in percent: mean, standard deviation, lowest, highest, each seed."""
    if not found:
        return "No seed has scores: they need true masks, or a classifier."
    width = max(len(name) for name in ("in %", *(spread.score for spread in found)))
    heads = ("mean", "sd", "min", "max", *(f"seed {seed}" for seed in seeds))
    lines = [f"{'in %':{width}}" + "".join(f"{head:>9}" for head in heads)]
    for spread in found:
        values = (spread.mean, spread.deviation, spread.lowest, spread.highest)
        cells = [None if math.isnan(value) else value for value in values]
        cells += [spread.seeds.get(seed) for seed in seeds]
        lines.append(f"{spread.score:{width}}" + "".join(f"{percent(cell):>9}" for cell in cells))
    return "\n".join(lines)


def write_seeds(folder: Path, found: Sequence[Spread], seeds: Mapping[int, str]) -> list[Path]:
    """Write the scores as `scores.tsv` and `scores.json`, in [0, 1]; return the files.

    Args:
        folder: see `gathered`.
        found: the scores; none writes no table.
        seeds: the name of the study of each seed.
    """
    if not found:
        return []
    rows = [
        {
            "score": spread.score,
            "mean": spread.mean,
            "deviation": spread.deviation,
            "min": spread.lowest,
            "max": spread.highest,
            **{f"seed {seed}": spread.seeds.get(seed) for seed in seeds},
        }
        for spread in found
    ]
    table, content = (folder / f"{SCORES}.{kind}" for kind in ("tsv", "json"))
    write_table(table, rows)
    write_json(
        content,
        {
            "protocol": "Shares in [0, 1]; deviation: sample standard deviation over the seeds.",
            "studies": {str(seed): name for seed, name in seeds.items()},
            "scores": rows,
        },
    )
    return [table, content]
