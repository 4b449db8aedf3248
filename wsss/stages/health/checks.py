"""The checks of each part of the road, on the files that hold what they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.results import open_shards, read_classified, read_history, read_json, read_masks
from wsss.stages.health import affinities, cams, classifier, confident, dataset, random_walk, segmentation
from wsss.stages.health.alarms import Alarm, Verdict
from wsss.stages.health.counting import Counted, count_masks
from wsss.stages.health.training import LOSS, SHORT, check_training

NETWORKS = ("classifier", "affinitynet", "irnet", "segmenter")

COMPARING = ("affinitynet", "irnet")
"""Those of them that give affinities; a study trains one at most."""


class Files(Protocol):
    """Input files of the rule `check_health` by name; those that a study does not have are missing."""

    def __getattr__(self, name: str) -> Any:
        """Return the file of this name, or the list of its shards."""

    def get(self, key: str, default_value: Any = None) -> Any:
        """Return the files of this name, or the default."""


def check(part: str, files: Files) -> list[Verdict]:
    """Check a part of the road; see `PARTS`, and `rules/health.smk` for the files of each."""
    return PARTS[part](files)


def _dataset(files: Files) -> list[Verdict]:
    return dataset.check_dataset(Manifest.read(files.train), Manifest.read(files.val))


def _classifier(files: Files) -> list[Verdict]:
    names = Manifest.read(files.val).class_names
    scores = classifier.check_classifier(names, read_json(files.scores), read_classified(files.images))
    return [*check_training("classifier", read_history(files.history)), *scores]


def _cams(files: Files) -> list[Verdict]:
    return cams.check_cams(read_json(files.cams))


def _confident(files: Files) -> list[Verdict]:
    train = Manifest.read(files.train)
    return confident.check_confident(
        train.class_names, _counted(train, files.labels), read_json(files.confident)
    )


def _random_walk(files: Files) -> list[Verdict]:
    """AffinityNet or IRNet if the study trains one, affinities and pseudo masks."""
    histories = {name: files.get(name) for name in COMPARING}
    trainings = [check_training(name, read_history(path)) for name, path in histories.items() if path]
    train, pseudo_masks = Manifest.read(files.train), read_json(files.random_walk)
    return [
        *chain.from_iterable(trainings),
        *affinities.check_affinities(read_json(files.affinities)),
        *random_walk.check_pseudo_masks(
            train.class_names, _counted(train, files.masks), pseudo_masks, read_json(files.cams)
        ),
    ]


def _segmentation(files: Files) -> list[Verdict]:
    val = Manifest.read(files.val)
    scores = segmentation.check_segmentation(
        val.class_names,
        _counted(val, files.predictions),
        _agreement(files),
        read_json(files.segmentation),
        read_json(files.random_walk),
    )
    return [*check_training("segmenter", read_history(files.history)), *scores]


PARTS: Mapping[str, Callable[[Files], list[Verdict]]] = {
    "dataset": _dataset,
    "classifier": _classifier,
    "cams": _cams,
    "confident": _confident,
    "random_walk": _random_walk,
    "segmentation": _segmentation,
}
"""In the order of the road; a study without a classifier or without confident regions leaves out theirs."""

ALARMS: tuple[Alarm, ...] = (
    dataset.FEW,
    dataset.TOGETHER,
    dataset.NO_COUNTEREXAMPLES,
    dataset.NOT_HELD_OUT,
    LOSS,
    SHORT,
    classifier.CHANCE,
    cams.MISS,
    confident.NONE,
    confident.FOREGROUND,
    confident.BACKGROUND,
    confident.DOUBT,
    affinities.NO_BORDERS,
    random_walk.FOREGROUND,
    random_walk.VANISH,
    random_walk.FORGETS,
    random_walk.NO_BACKGROUND,
    random_walk.BELOW_CAMS,
    random_walk.BELOW_DENSE_CRF,
    random_walk.LOST_CLASSES,
    random_walk.SPECKS,
    segmentation.FOREGROUND,
    segmentation.NEVER,
    segmentation.BEHIND,
    segmentation.DROP,
    segmentation.SPECKS,
)
"""All of them, as docs/alarms.md lists them; those of a training stand for all networks."""


def _counted(images: Manifest, shards: Sequence[str]) -> list[Counted]:
    with open_shards(_list(shards), read_masks) as masks:
        return count_masks(images.rows, masks)


def _agreement(files: Files) -> float | None:
    predicted = files.get("predictions_on_train")
    if not predicted:
        return None
    train = Manifest.read(files.train)
    with (
        open_shards(_list(files.masks), read_masks) as pseudo_masks,
        open_shards(_list(predicted), read_masks) as predictions,
    ):
        n_values = len(value_names(train.class_names))
        return segmentation.agreement_with(pseudo_masks, predictions, train.rows, n_values)


def _list(files: str | Sequence[str]) -> list[str]:
    """Snakemake gives a named list of one file as that file."""
    return [files] if isinstance(files, str) else list(files)
