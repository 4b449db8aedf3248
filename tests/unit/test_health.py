"""Alarms: silent on good results, and each one heard on results that are broken on purpose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import BaseModel

from wsss.data import ImageRow, Manifest
from wsss.report.summary import ROAD
from wsss.results import ClassifiedImage
from wsss.stages.health import ALARMS, PARTS, Verdict, gathered, part_health
from wsss.stages.health.affinities import check_affinities
from wsss.stages.health.cams import check_cams
from wsss.stages.health.checks import NETWORKS
from wsss.stages.health.classifier import chance, check_classifier
from wsss.stages.health.confident import check_confident
from wsss.stages.health.counting import Counted, count_masks, raggedness
from wsss.stages.health.dataset import check_dataset
from wsss.stages.health.random_walk import check_pseudo_masks
from wsss.stages.health.segmentation import agreement_with, check_segmentation
from wsss.stages.health.training import check_training
from wsss.study.config import Study
from wsss.study.invocation import Invocation

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("cat", "dog", "cow")
VALUE_NAMES = ["background", *NAMES]

Mask = np.ndarray[Any, np.dtype[np.uint8]]


# Good results, which all checks must leave alone


def row(number: int, labels: Sequence[int], split: str = "train") -> ImageRow:
    name = f"{split}_{number}"
    return ImageRow(name, Path(f"{name}.jpg"), None, split, False, tuple(labels), 64, 64, "")


TRAIN = [row(number, [number % 3] if number % 4 else [0, 1]) for number in range(90)]
VAL = [row(number, [number % 3], "val") for number in range(30)]


def manifest(rows: Iterable[ImageRow]) -> Manifest:
    return Manifest(NAMES, tuple(rows))


def good_mask(image: ImageRow) -> Mask:
    """A square of 24 x 24 pixels for each label, on 64 x 64."""
    mask = np.zeros((64, 64), np.uint8)
    for place, index in enumerate(image.labels):
        mask[30 * place + 4 : 30 * place + 28, 20:44] = index + 1
    return mask


def good_confident(image: ImageRow) -> Mask:
    """The middle of the squares; around them undecided pixels."""
    mask = good_mask(image)
    undecided = mask.copy()
    undecided[mask > 0] = 255
    undecided[8:24, 24:40] = mask[8:24, 24:40]
    undecided[38:54, 24:40] = mask[38:54, 24:40]
    return undecided


def counted(make: Callable[[ImageRow], Mask], rows: Sequence[ImageRow] = TRAIN) -> list[Counted]:
    return count_masks(rows, {image.id: make(image) for image in rows})


def scores(miou: float, iou: Sequence[float | None] = (0.9, 0.7, 0.6, 0.5), **more: Any) -> dict[str, Any]:
    named = dict(zip(VALUE_NAMES, iou, strict=True))
    return {"scored_images": 40, "value_names": VALUE_NAMES, "miou": miou, "iou": named, **more}


NOT_SCORED = scores(float("nan"), [None] * 4, scored_images=0)
CAMS = scores(0.5, (0.8, 0.4, 0.4, 0.4), dense_crf={"miou": 0.6})
WALKED = scores(0.7)


def history(losses: Sequence[float], steps: int = 300) -> dict[str, Any]:
    return {"loss": np.array(losses), "step": np.linspace(10, steps, len(losses))}


def classified(
    rank: Callable[[ImageRow, int], float], rows: Sequence[ImageRow] = VAL
) -> list[ClassifiedImage]:
    """Scores of a classifier by image and class index."""
    return [
        ClassifiedImage(image.id, "val", index + 1, rank(image, index), index in image.labels)
        for image in rows
        for index in range(3)
    ]


def precisions(*values: float, images: int = 30) -> dict[str, Any]:
    return {"average_precision": dict(zip(NAMES, values, strict=True)), "scored_images": images}


def knows(image: ImageRow, index: int) -> float:
    return float(index in image.labels)


def walk(
    make: Callable[[ImageRow], Mask], walked: Mapping[str, Any] = NOT_SCORED, cams: Mapping[str, Any] = CAMS
) -> list[Verdict]:
    return check_pseudo_masks(NAMES, counted(make), walked, cams)


def segment(
    make: Callable[[ImageRow], Mask],
    agreement: float | None = 0.8,
    metrics: Mapping[str, Any] = NOT_SCORED,
    walked: Mapping[str, Any] = NOT_SCORED,
) -> list[Verdict]:
    return check_segmentation(NAMES, counted(make, VAL), agreement, metrics, walked)


GOOD: dict[str, Callable[[], list[Verdict]]] = {
    "dataset": lambda: check_dataset(manifest(TRAIN), manifest(VAL)),
    "training": lambda: check_training("classifier", history([0.7, 0.6, 0.5, 0.4, 0.3])),
    "classifier": lambda: check_classifier(NAMES, precisions(1, 1, 0.9), classified(knows)),
    "cams": lambda: check_cams(CAMS),
    "confident": lambda: check_confident(
        NAMES, counted(good_confident), {"scored_images": 9, "foreground_precision": 0.68}
    ),
    "affinities": lambda: check_affinities({"scored_images": 9, "equal": 0.042, "different": 0.0063}),
    "random_walk": lambda: walk(good_mask, WALKED),
    "segmentation": lambda: segment(good_mask, metrics=scores(0.6, train=scores(0.65)), walked=WALKED),
}


@pytest.mark.parametrize("check", GOOD.values(), ids=GOOD)
def test_good_results_raise_no_alarm(check: Callable[[], list[Verdict]]) -> None:
    verdicts = check()
    assert [verdict for verdict in verdicts if verdict.severity] == []
    assert all(verdict.figure for verdict in verdicts)


def test_the_good_results_are_checked_for_everything() -> None:
    checked = {verdict.alarm.name for check in GOOD.values() for verdict in check()}
    expected = {alarm.of("classifier").name for alarm in ALARMS}
    assert checked == expected


def test_the_studies_of_the_documentation_raise_no_alarm() -> None:
    """The figures of docs/studies.md, without masks of each image."""
    shapes = check_pseudo_masks(
        NAMES,
        counted(good_mask),
        scores(0.81, (0.897, 0.809, 0.631, 0.848)),
        scores(0.636, (0.807, 0.609, 0.547, 0.6), dense_crf={"miou": 0.784}),
    )
    animals = check_pseudo_masks(
        NAMES,
        counted(good_mask),
        scores(0.561, (0.791, 0.601, 0.481, 0.385)),
        scores(0.487, (0.748, 0.538, 0.4, 0.33), dense_crf={"miou": 0.543}),
    )
    network = segment(good_mask, metrics=scores(0.524), walked=scores(0.561))
    assert [verdict for verdict in (*shapes, *animals, *network) if verdict.severity] == []


# Results that are broken on purpose, one for each alarm


def few() -> list[Verdict]:
    return check_dataset(
        manifest([*TRAIN[:1], *(image for image in TRAIN if 2 not in image.labels)]), manifest(VAL)
    )


def without_cows() -> list[ImageRow]:
    return [image for image in TRAIN if 2 not in image.labels]


def together() -> list[Verdict]:
    twins = [replace(image, labels=(0, 1) if 0 in image.labels else image.labels) for image in TRAIN]
    return check_dataset(
        manifest(replace(image, labels=(0, 1)) if 1 in image.labels else image for image in twins),
        manifest(VAL),
    )


def everywhere() -> list[Verdict]:
    return check_dataset(
        manifest(replace(image, labels=tuple({*image.labels, 1})) for image in TRAIN), manifest(VAL)
    )


def shuffled() -> list[Verdict]:
    """The order of a classifier whose labels were shuffled."""
    order = np.random.default_rng(0)
    return check_classifier(NAMES, precisions(0.35, 0.3, 0.4), classified(lambda *_: order.random()))


def filled(value: int) -> Callable[[ImageRow], Mask]:
    return lambda _: np.full((64, 64), value, np.uint8)


def first_label_only(image: ImageRow) -> Mask:
    """The walk gives the whole image to the strongest class."""
    return np.full((64, 64), image.labels[0] + 1, np.uint8)


def without_the_third_class(image: ImageRow) -> Mask:
    mask = good_mask(image)
    mask[mask == 3] = 0
    return mask


def almost_filled(image: ImageRow) -> Mask:
    mask = first_label_only(image)
    mask[:, 32:] = image.labels[-1] % 3 + 1 if len(image.labels) == 1 else image.labels[1] + 1
    return mask


def specks(image: ImageRow) -> Mask:
    grid = np.random.default_rng(int(image.id.split("_")[1])).random((32, 32)) < 0.2
    return (np.kron(grid, np.ones((2, 2))) * (image.labels[0] + 1)).astype(np.uint8)


def no_confident(third_class: int) -> list[Verdict]:
    def make(image: ImageRow) -> Mask:
        mask = good_confident(image)
        mask[mask == third_class] = 255
        return mask

    return check_confident(NAMES, counted(make), {"scored_images": 0})


STRANGER = (
    scores(0.105, (0.35, 0.02, 0.01, 0.04)),
    scores(0.407, (0.6, 0.4, 0.3, 0.33), dense_crf={"miou": 0.45}),
)
"""The case of a data set that nobody had tuned: pseudo masks of 10.5 mIoU from CAMs of 40.7."""

BROKEN: dict[str, tuple[str, Callable[[], list[Verdict]]]] = {
    "few-images": ("alarm", few),
    "always-together": ("alarm", together),
    "no-counterexamples": ("alarm", everywhere),
    "not-held-out": ("warning", lambda: check_dataset(manifest(TRAIN), manifest(VAL[:2]))),
    "classifier-loss": (
        "alarm",
        lambda: check_training("classifier", history([0.69, 0.7, 0.69, 0.69, 0.68])),
    ),
    "classifier-steps": ("warning", lambda: check_training("classifier", history([0.7, 0.3], steps=32))),
    "near-chance": ("alarm", shuffled),
    "cams-miss": ("alarm", lambda: check_cams(scores(0.3, (0.7, 0.1, 0.02, 0.1)))),
    "no-confident-region": ("alarm", lambda: no_confident(3)),
    "confident-foreground": (
        "alarm",
        lambda: check_confident(NAMES, counted(filled(0)), {"scored_images": 0}),
    ),
    "confident-background": (
        "alarm",
        lambda: check_confident(NAMES, counted(filled(1)), {"scored_images": 0}),
    ),
    "confident-wrong": (
        "alarm",
        lambda: check_confident(
            NAMES, counted(good_confident), {"scored_images": 9, "foreground_precision": 0.2}
        ),
    ),
    "no-borders": ("alarm", lambda: check_affinities({"scored_images": 9, "equal": 0.5, "different": 0.49})),
    "walk-foreground": ("alarm", lambda: walk(filled(0))),
    "labels-vanish": ("alarm", lambda: walk(without_the_third_class)),
    "walk-forgets": ("alarm", lambda: walk(first_label_only)),
    "no-background": ("alarm", lambda: walk(almost_filled)),
    "below-cams": ("alarm", lambda: walk(good_mask, *STRANGER)),
    "below-dense-crf": ("alarm", lambda: walk(good_mask, *STRANGER)),
    "classes-lost": ("alarm", lambda: walk(good_mask, *STRANGER)),
    "walk-specks": ("alarm", lambda: walk(specks)),
    "all-background": ("alarm", lambda: segment(filled(0))),
    "never-predicted": ("warning", lambda: segment(without_the_third_class)),
    "behind-its-masks": ("alarm", lambda: segment(good_mask, 0.2)),
    "val-behind-train": ("alarm", lambda: segment(good_mask, metrics=scores(0.2, train=scores(0.7)))),
    "segmentation-specks": ("alarm", lambda: segment(specks)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_failure_is_heard(name: str) -> None:
    severity, check = BROKEN[name]
    (verdict,) = [verdict for verdict in check() if verdict.alarm.name == name]
    assert verdict.severity == severity
    assert re.search(r"\d|cow|cat", verdict.figure)


def test_there_is_a_broken_result_for_each_alarm() -> None:
    assert set(BROKEN) == {alarm.of("classifier").name for alarm in ALARMS}


def test_the_stranger_is_told_the_figures() -> None:
    heard = {verdict.alarm.name: verdict.figure for verdict in walk(good_mask, *STRANGER) if verdict.severity}
    assert heard["below-cams"] == "mIoU 10.5, the CAMs 40.7"
    assert heard["below-dense-crf"] == "mIoU 10.5, CAM + dCRF 45.0"
    assert heard["classes-lost"] == "2 of 3 classes: cat 2.0, the CAMs 40.0, dog 1.0, the CAMs 30.0"


# Between good and broken


def severities(verdicts: Iterable[Verdict]) -> dict[str, str | None]:
    return {verdict.alarm.name: verdict.severity for verdict in verdicts}


@pytest.mark.parametrize(("miou", "severity"), [(0.60, None), (0.58, "warning"), (0.54, "alarm")])
def test_a_little_below_the_dense_crf_is_a_warning(miou: float, severity: str | None) -> None:
    assert severities(walk(good_mask, scores(miou)))["below-dense-crf"] == severity


@pytest.mark.parametrize(("images", "severity"), [(4, "alarm"), (5, "warning"), (19, "warning"), (20, None)])
def test_few_images_are_too_few_or_hardly_enough(images: int, severity: str | None) -> None:
    cows = [image for image in TRAIN if 2 in image.labels][:images]
    assert (
        severities(check_dataset(manifest([*without_cows(), *cows]), manifest(VAL)))["few-images"] == severity
    )


def test_a_class_at_chance_among_good_ones_is_a_warning() -> None:
    (verdict,) = check_classifier(NAMES, precisions(0.9, 0.95, 0.4), classified(knows))
    assert verdict.severity == "warning"
    assert "cow 40.0, chance" in verdict.figure
    assert "cat" not in verdict.figure


def test_a_class_of_two_images_is_not_judged_by_itself() -> None:
    rows = [replace(image, labels=(0,) if number > 1 else (2,)) for number, image in enumerate(VAL)]
    metrics = precisions(0.95, float("nan"), 0.2)
    (verdict,) = check_classifier(NAMES, metrics, classified(knows, rows))
    assert "cow" not in verdict.figure


def test_without_true_masks_nothing_is_compared_with_them() -> None:
    compared = {"below-cams", "below-dense-crf", "classes-lost", "val-behind-train", "confident-wrong"}
    assert not compared & set(severities([*walk(good_mask, cams=NOT_SCORED), *segment(good_mask)]))
    assert check_cams(NOT_SCORED) == []
    assert check_affinities({"scored_images": 0, "equal": None, "different": None}) == []


def test_a_network_that_was_not_trained_here_is_not_judged() -> None:
    assert check_training("classifier", history([])) == []


def test_images_of_no_class_are_no_failure() -> None:
    nothing = replace(TRAIN[0], labels=())
    rows = [*TRAIN, *(replace(nothing, id=f"none_{number}") for number in range(80))]
    verdicts = check_pseudo_masks(NAMES, counted(good_mask, rows), NOT_SCORED, NOT_SCORED)
    assert [verdict for verdict in verdicts if verdict.severity] == []
    assert [verdict for verdict in check_dataset(manifest(rows), manifest(VAL)) if verdict.severity] == []


def test_chance_is_the_mean_over_random_orders() -> None:
    order = np.random.default_rng(0)
    for images, positive in ((20, 3), (30, 10), (7, 7), (9, 1)):
        ranks = np.sort([order.permutation(images)[:positive] for _ in range(4000)]) + 1
        mean = (np.arange(1, positive + 1) / ranks).mean()
        assert chance(images, positive) == pytest.approx(mean, abs=0.01)


def test_raggedness_counts_specks() -> None:
    square, four = np.zeros((2, 40, 40), np.uint8)
    square[10:20, 10:20] = 1
    four[::20, ::20] = 0
    for y in (5, 25):
        for x in (5, 25):
            four[y : y + 5, x : x + 5] = 1
    assert raggedness([Counted.of(TRAIN[1], square)]) == pytest.approx(1)
    assert raggedness([Counted.of(TRAIN[1], four)]) == pytest.approx(2)
    assert np.isnan(raggedness([Counted.of(TRAIN[1], np.zeros((9, 9), np.uint8))]))


def test_agreement_is_a_miou() -> None:
    masks = {image.id: good_mask(image) for image in TRAIN}
    assert agreement_with(masks, masks, TRAIN, 4) == 1
    nothing = {image.id: filled(0)(image) for image in TRAIN}
    background = np.mean([mask == 0 for mask in masks.values()])
    assert agreement_with(masks, nothing, TRAIN, 4) == pytest.approx(background / 4)


# What is written


def test_parts_are_those_that_the_summary_knows() -> None:
    assert tuple(PARTS) == ROAD


def test_alarms_come_before_warnings_and_causes_before_effects() -> None:
    parts = [
        part_health(check(), Invocation(("before.yaml",)))
        for check in (
            BROKEN["not-held-out"][1],
            GOOD["cams"],
            BROKEN["below-cams"][1],
            BROKEN["behind-its-masks"][1],
        )
    ]
    health = gathered(parts, Invocation(("my.yaml",)), Path("results/mine"))
    names = [finding["alarm"] for finding in health["findings"]]
    assert names == ["below-cams", "below-dense-crf", "classes-lost", "behind-its-masks", "not-held-out"]
    assert (health["alarms"], health["warnings"]) == (4, 1)
    assert "cams-miss" in [verdict["alarm"] for verdict in health["silent"]]
    assert health["invocation"]["configfiles"] == ["my.yaml"]


def test_commands_and_paths_are_complete() -> None:
    part = part_health(BROKEN["walk-specks"][1](), Invocation(("before.yaml",)))
    health = gathered([part], Invocation(("my study.yaml",)), Path("results/mine"))
    (finding,) = [finding for finding in health["findings"] if finding["alarm"] == "walk-specks"]
    help_ = " ".join(finding["help"])
    assert "`results/mine/report/train_worst.png`" in help_
    assert re.search(r"`\S*snakemake plot_train_gallery --configfile 'my study.yaml'`", help_)


def test_keys_that_help_are_keys() -> None:
    assert not has_key(Study, ["random_walk", "background", "beta"])
    for span in spans():
        if "." in span and "/" not in span and not span.startswith("snakemake"):
            key, _, value = span.partition(": ")
            assert has_key(Study, key.split(".")), span
            assert value in ("", "imagenet", "classifier", "none", "dense_crf", "mobilenet_v2"), span


def test_commands_that_help_name_rules() -> None:
    rules = (ROOT / "rules").glob("*.smk")
    names = set(re.findall(r"(?:rule|name:)\s+f?\"?(\w+)", "\n".join(path.read_text() for path in rules)))
    commands = [span.split() for span in spans() if span.startswith("snakemake")]
    assert commands
    known = {*names, "sweep", "plot_train_gallery", "plot_val_gallery", "plot_history"}
    assert {command[1] for command in commands} <= known


def spans() -> list[str]:
    texts = [text for alarm in ALARMS for network in NETWORKS for text in alarm.of(network).help]
    return sorted({span for text in texts for span in re.findall(r"`([^`]+)`", text)})


def has_key(model: Any, path: Sequence[str]) -> bool:
    """Whether a section has a key; of a union one kind must have it."""
    if not path:
        return True
    models = [
        part for part in (model, *get_args(model)) if isinstance(part, type) and issubclass(part, BaseModel)
    ]
    inner = [part for outer in models for part in (outer, *get_args(outer))]
    fields = [part.model_fields[path[0]].annotation for part in inner if path[0] in part.model_fields]
    nested = [choice for field in fields for choice in (field, *get_args(field))]
    return any(has_key(choice, path[1:]) for choice in nested)
