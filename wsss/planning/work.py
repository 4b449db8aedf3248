"""How much there is to compute at each stage of a study, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple, Self

from wsss.data import Manifest
from wsss.study.config import (
    AffinityNet,
    Confident,
    IRNet,
    RandomWalk,
    Segmentation,
    SegmenterCams,
    Study,
)
from wsss.study.config.fields import AUTO, Auto, settled
from wsss.study.counts import shard_counts
from wsss.study.follow import median_longest_side, settled_section
from wsss.study.inner import CHECKPOINT, later_rounds, upper_bound
from wsss.study.params import refining
from wsss.study.swept import swept

SHARDED_BY_SPLIT = ("compute_cams", "compute_affinities", "random_walk")

CONSTANTS_TRIED = 3
"""Dense CRFs of the scoring of the CAMs, per image."""

STEPS = 64
"""Of a walk whose number of steps a sweep will choose."""

FINISHED = 6
"""Dense CRFs per image that finish the first points of a sweep, and the CAMs."""

FINISHED_IMAGES = {"choose_random_walk": 150, "finish_sweep": 500}
"""The most images on which they are finished."""

TO_A_SCORE = ("train_segmenter", "compute_segmentation", "score_segmentation")
"""The rules by which full supervision comes to its score."""

ON_FEATURES = 0.18
"""A pixel of a training on finished features, AffinityNet's or IRNet's, as a share of one through a backbone
and back; as for `COMPARED`, of MobileNetV2 on a CPU, and less of a larger backbone."""

COMPARED = 0.3
"""What these networks' own layers and the comparison of cells add to a pass through the backbone, a share."""


class Images(NamedTuple):
    """What is known of a data set's images.

    Attributes:
        counts: number of images by split.
        scored: how many of train have a mask on which they are scored.
        megapixels: of an image, on average.
        labels: of an image, on average.
        longest_side: of an image in pixels, the median.
    """

    counts: Mapping[str, int]
    scored: int
    megapixels: float
    labels: float
    longest_side: int

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """What a data set's manifest says."""
        rows = manifest.rows
        return cls(
            counts={split: len(manifest.split(split)) for split in ("train", "val")},
            scored=sum(row.scored for row in rows),
            megapixels=fmean(row.height * row.width for row in rows) / 1e6,
            labels=fmean(len(row.labels) for row in rows),
            longest_side=median_longest_side(manifest.sizes),
        )


class Backbone(NamedTuple):
    """A backbone as a network has it."""

    name: str
    output_stride: int | None


@dataclass(frozen=True)
class Work:
    """The work of all jobs of a rule.

    Attributes:
        jobs: their number.
        backbone: the network that computes, if one does.
        seen: megapixels that go through it.
        trained: megapixels that go through it and back.
        refined: megapixels times maps times iterations of the dense CRF.
        walked: cells times maps times the square root of the steps of the random walk.
        read: images that are read, or drawn, or written.
    """

    jobs: int = 1
    backbone: Backbone | None = None
    seen: float = 0.0
    trained: float = 0.0
    refined: float = 0.0
    walked: float = 0.0
    read: float = 0.0


def study_work(study: Study, images: Images, around: Study | None = None) -> dict[str, Work]:
    """The work of each rule of a study, by name, as if nothing was there yet.

    Args:
        study: the study.
        images: its data set.
        around: the study in which it is a later round, whose features it may share.
    """
    settled = settled_study(study, images)
    found = {**_networks(settled, images), **_walks(settled, images), **_others(settled, images)}
    name = f"train_{settled.pair_network}"
    shared = around and _features(settled_study(around, images))
    if shared and _features(settled) == shared:
        found[name] = replace(found[name], seen=0.0)
    return found


def jobs_of_a_run(study: Study, images: Images) -> dict[str, int]:
    """Number of jobs of each rule in a run that starts from nothing; a sweep is part of it if it chooses."""
    jobs = _jobs(study, images)
    for inner in later_rounds(study):
        jobs |= {
            f"{inner.prefix}{rule}": count
            for rule, count in _jobs(inner.study, images).items()
            if rule != "prepare_dataset"
        }
    for inner in upper_bound(study):
        found = _jobs(inner.study, images)
        jobs |= {f"{inner.prefix}{rule}": found[rule] for rule in TO_A_SCORE}
    return jobs


def _jobs(study: Study, images: Images) -> dict[str, int]:
    chooses = bool(study.random_walk.chosen_keys)
    other = {"finish_sweep"} if chooses else {"finish_sweep", "sweep_random_walk", "choose_random_walk"}
    return {rule: work.jobs for rule, work in study_work(study, images).items() if rule not in other}


def backbones(study: Study) -> set[Backbone]:
    """The backbones that a study runs."""
    return {_backbone(study, name) for name in study.trained_networks}


def _networks(study: Study, images: Images) -> dict[str, Work]:
    train, area = images.counts["train"], images.megapixels
    found: dict[str, Work] = {}
    if study.uses_classifier:
        net = study.classifier
        scale = min(1.0, (net.longest_side or images.longest_side) / images.longest_side) ** 2
        views = 1 + (net.equivariance.scale**2 if net.equivariance.weight else 0)
        crops = settled(net.epochs) * train * _megapixels(net.crop_size) * views
        found["train_classifier"] = Work(1, _backbone(study, "classifier"), trained=crops)
        found["score_classifier"] = Work(
            1, _backbone(study, "classifier"), seen=images.counts["val"] * area * scale
        )
    if study.cams.kind == "classifier":
        seen = _refined(study, images) * area * _passes(study.cams.scales, study.cams.flip)
        found["compute_cams"] = Work(_shards(study), _backbone(study, "classifier"), seen=seen)
    elif study.cams.kind == "segmenter":
        refined = _refined(study, images)
        found["compute_cams"] = Work(
            _shards(study),
            _backbone(study, "segmenter"),
            seen=refined * area * _passes(study.cams.scales, study.cams.flip),
            refined=refined * _refinement(study, study.cams, images),
        )
    if study.pair_network:
        found |= _affinities(study, images, study.pair_network)
    segmenter = _backbone(study, "segmenter")
    crops = settled(study.segmenter.epochs) * train * _megapixels(study.segmenter.crop_size)
    found["train_segmenter"] = Work(1, segmenter, trained=crops)
    segmented = sum(images.counts[split] for split in study.segmentation.splits)
    found["compute_segmentation"] = Work(
        sum(study.shards[split] for split in study.segmentation.splits),
        segmenter,
        seen=segmented * area * _passes(study.segmentation.scales, study.segmentation.flip),
        refined=segmented * _refinement(study, study.segmentation, images, maps=images.labels + 3),
    )
    return found


def _affinities(study: Study, images: Images, name: str) -> dict[str, Work]:
    net, backbone = _pair_section(study), _backbone(study, name)
    train, area = images.counts["train"], images.megapixels * _input_scale(study) ** 2
    crops = settled(net.epochs) * train * _megapixels(net.crop_size)
    if net.train_on.kind == "features":
        training = Work(1, backbone, seen=train * area, trained=ON_FEATURES * crops)
    else:
        training = Work(1, backbone, trained=(1 + COMPARED) * crops)
    flip = bool(getattr(study.affinities, "flip", False))
    refined = _refined(study, images)
    kept = train if net.train_on.kind == "features" and not flip else 0
    seen = (refined - kept + COMPARED * refined) * area * (1 + flip)
    return {
        f"train_{name}": training,
        "compute_affinities": Work(_shards(study), backbone, seen=seen),
    }


def _features(study: Study) -> tuple[object, ...] | None:
    """What decides the features on which a study's network learns from pairs, if it learns on features."""
    if not study.pair_network:
        return None
    net = _pair_section(study)
    weights = f"{study.folder}/classifier/{CHECKPOINT}" if net.weights == "classifier" else net.weights
    facts = (study.pair_network, net.backbone, net.output_stride, weights, net.input_scale)
    return facts if net.train_on.kind == "features" else None


def _walks(study: Study, images: Images) -> dict[str, Work]:
    refined, walk = _refined(study, images), study.random_walk
    cells = 1e6 * images.megapixels * _input_scale(study) ** 2 / 64
    walked = cells * (images.labels + 1) * (STEPS if walk.t == AUTO else walk.t) ** 0.5
    found = {
        "random_walk": Work(
            _shards(study), walked=refined * walked, refined=refined * _refinement(study, walk, images)
        ),
        "score_affinities": Work(1, walked=images.scored * walked),
        "measure_quality": Work(study.shards["train"], walked=3 * images.counts["train"] * walked),
        "score_cams": Work(1, refined=CONSTANTS_TRIED * images.scored * _refinement(study, walk, images)),
    }
    if study.uses_confident:
        crf = 2 * _refinement(study, study.confident, images)
        found["label_confident"] = Work(study.shards["train"], refined=images.counts["train"] * crf)
    values, train = swept(study), images.counts["train"]
    tried = min(train, study.sweep.images or train)
    longest = max(values.ts) ** 0.5  # the others are on its way
    found["sweep_random_walk"] = Work(
        len(values.betas) * study.shards["train"],
        walked=len(values.betas) * tried * cells * (images.labels + 1) * longest,
    )
    for rule, most in FINISHED_IMAGES.items():
        finished = FINISHED * min(tried, most) * _refinement(study, walk, images)
        found[rule] = Work(1, refined=finished)
    return found


def _others(study: Study, images: Images) -> dict[str, Work]:
    everything, train = sum(images.counts.values()), images.counts["train"]
    return {
        "prepare_dataset": Work(1, read=everything * (5 if study.dataset.kind == "shapes" else 1)),
        "export_masks": Work(len(study.refined_splits) + len(study.segmentation.splits), read=everything),
        "score_confident": Work(1, read=images.scored),
        "score_random_walk": Work(1, read=images.scored),
        "score_segmentation": Work(1, read=min(everything, images.scored + images.counts["val"])),
        "plot_train_gallery": Work(1, read=min(train, 50)),
    }


def settled_study(study: Study, images: Images) -> Study:
    """The study with numbers in place of `auto`, but for those of the random walk."""
    side = images.longest_side
    sizes = [(side, side)] * images.counts["train"]
    networks = {
        name: settled_section(getattr(study, name), sizes)
        for name in ("classifier", "affinitynet", "irnet", "segmenter")
    }
    return study.model_copy(update={**networks, "shards": shard_counts(study)})


def _backbone(study: Study, network: str) -> Backbone:
    section = getattr(study, network)
    return Backbone(section.backbone, section.output_stride)


def _pair_section(study: Study) -> AffinityNet | IRNet:
    return study.irnet if study.affinities.kind == "irn" else study.affinitynet


def _refined(study: Study, images: Images) -> int:
    return sum(images.counts[split] for split in study.refined_splits)


def _shards(study: Study) -> int:
    return sum(study.shards[split] for split in study.refined_splits)


def _passes(scales: tuple[float, ...], flip: bool) -> float:
    return sum(scale**2 for scale in scales) * (1 + flip)


def _megapixels(side: int | Auto) -> float:
    return settled(side) ** 2 / 1e6


def _input_scale(study: Study) -> float:
    if study.affinities.kind == "boundary":
        return study.affinities.input_scale
    return settled(_pair_section(study).input_scale)


def _refinement(
    study: Study,
    stage: Confident | RandomWalk | Segmentation | SegmenterCams,
    images: Images,
    maps: float | None = None,
) -> float:
    """The dense CRF of an image of a stage."""
    crf = refining(study, stage)
    maps = images.labels + 1 if maps is None else maps
    return crf.iterations * images.megapixels * maps if crf else 0.0
