"""How much there is to compute, and how long it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsss.planning.estimate import in_words, job_seconds, total
from wsss.planning.speed import Speed, measure
from wsss.planning.work import Backbone, Images, Work, study_work
from wsss.results import write_manifest
from wsss.study.config import Study, load_study
from wsss.study.params import PARAMS, rule_params
from wsss.study.provenance import ArtifactManifest

IMAGES = Images({"train": 400, "val": 100}, scored=50, megapixels=0.08, labels=1.5, longest_side=320)


def work(**sections: object) -> dict[str, Work]:
    return study_work(load_study(sections), IMAGES)


def test_every_rule_with_work_is_one_of_the_workflow() -> None:
    assert set(work()) <= set(PARAMS)


@pytest.mark.parametrize(
    ("sections", "rule", "factor"),
    [
        ({"classifier": {"epochs": 60}}, "train_classifier", 2),
        ({"classifier": {"crop_size": 256}}, "train_classifier", 4),
        ({"classifier": {"equivariance": {"weight": 1, "scale": 0.5}}}, "train_classifier", 1.25),
        ({"segmenter": {"epochs": 10}}, "train_segmenter", 0.5),
        ({"affinitynet": {"epochs": 8}}, "train_affinitynet", 2),
    ],
)
def test_trainings_grow_with_epochs_and_crops(sections, rule: str, factor: float) -> None:
    assert work(**sections)[rule].trained == pytest.approx(factor * work()[rule].trained)


@pytest.mark.parametrize("train_on", [{"kind": "images"}, {"kind": "features"}])
def test_irnet_costs_what_affinitynet_does(train_on: dict[str, str]) -> None:
    affinitynet = work(affinitynet={"train_on": train_on})
    irn = work(affinities={"kind": "irn"}, irnet={"train_on": train_on})
    assert irn["train_irnet"] == affinitynet["train_affinitynet"]
    assert irn["compute_affinities"] == affinitynet["compute_affinities"]
    assert irn.keys() - {"train_irnet"} == affinitynet.keys() - {"train_affinitynet"}


@pytest.mark.parametrize(
    ("sections", "rule", "factor"),
    [
        ({"cams": {"flip": False}}, "compute_cams", 0.5),
        ({"cams": {"scales": [1.0]}}, "compute_cams", 1 / 7.5),
        ({"refined_splits": ["train", "val"]}, "compute_cams", 1.25),
        ({"affinitynet": {"input_scale": 1.0}}, "compute_affinities", 0.25),
        ({"affinities": {"flip": True}}, "compute_affinities", 2),
        ({"segmentation": {"splits": ["val"]}}, "compute_segmentation", 0.2),
    ],
)
def test_inference_grows_with_images_and_passes(sections, rule: str, factor: float) -> None:
    assert work(**sections)[rule].seen == pytest.approx(factor * work()[rule].seen)


def test_the_walk_and_the_dense_crf() -> None:
    assert work(random_walk={"refine": "none"})["random_walk"].refined == 0
    assert work(dense_crf={"iterations": 20})["label_confident"].refined == pytest.approx(
        2 * work()["label_confident"].refined
    )
    assert work(random_walk={"t": 64})["random_walk"].walked == 2 * work()["random_walk"].walked


def test_shards_are_jobs() -> None:
    many = work(shards={"train": 8, "val": 2}, refined_splits=["train", "val"])
    assert (many["compute_cams"].jobs, many["label_confident"].jobs) == (10, 8)


def test_what_a_study_does_not_make_costs_nothing() -> None:
    foreign = work(
        cams={"kind": "files", "format": "psa", "folder": "cams"},
        affinities={"kind": "boundary", "folder": "boundaries"},
        segmenter={"weights": "none"},
    )
    networks = {
        "train_classifier",
        "compute_cams",
        "train_affinitynet",
        "compute_affinities",
        "label_confident",
    }
    assert not networks & set(foreign)


def test_seconds_follow_the_speed_of_network_and_processor() -> None:
    backbone = Backbone("small", 8)
    speed = Speed({backbone: 0.1}, processor=1.0)
    nothing = speed.seconds(Work(1))
    assert speed.seconds(Work(3)) == pytest.approx(3 * nothing)
    assert speed.seconds(Work(1, backbone, seen=100)) == pytest.approx(nothing + 10)
    assert speed.seconds(Work(1, backbone, trained=100)) > nothing + 20
    slow = Speed({backbone: 0.1}, processor=2.0)
    refined = Work(1, refined=1000, walked=1e6, read=100)
    assert slow.seconds(refined) - nothing == pytest.approx(2 * (speed.seconds(refined) - nothing))


def test_a_machine_is_measured() -> None:
    speed = measure([Backbone("small", 8)])
    assert speed.seen[Backbone("small", 8)] > 0
    assert speed.processor > 0


def test_jobs_that_ran_count_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = Study()
    config = rule_params(study, "compute_cams")
    facts = {"code": {}, "inputs": {}, "seed": None, "versions": {}, "device": "cpu", "peak_memory_mb": 1.0}
    for shard, seconds, made_with in (("00", 600.0, config), ("01", 800.0, config), ("02", 9e9, {})):
        artifact = f"results/shapes/cams/train/{shard}.npz"
        made = {"artifact": artifact, "rule": "compute_cams", "seconds": seconds, "created": shard}
        write_manifest(artifact, ArtifactManifest(**facts, **made, config=made_with))
    seconds = job_seconds(study, IMAGES)
    assert seconds["compute_cams"] == pytest.approx(702, abs=5)
    assert set(seconds) == set(PARAMS)
    assert total({"compute_cams": 2, "all": 1}, seconds) == pytest.approx(1404, abs=12)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3, "a few seconds"),
        (44, "about 40 seconds"),
        (100, "about 2 minutes"),
        (11 * 60, "about 11 minutes"),
        (33 * 60, "about 35 minutes"),
        (5400, "about 2 hours"),
        (7.4 * 3600, "about 7 hours"),
        (100 * 3600, "about 4 days"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
