"""The modules that a rule's job loads by name: what the configuration selects, for the digest of its code.

`wsss.study.code_digest` finds imports that stand in the code. Backbones, heads, kinds, formats, engines and
readers of weights are loaded by name instead, so that a study depends only on those that it uses.
"""

from __future__ import annotations

from wsss.study.config import Confident, RandomWalk, Segmentation, SegmenterCams, Study
from wsss.study.config.networks import Network
from wsss.study.inner import last_round
from wsss.study.params import refining
from wsss.study.registry import (
    AFFINITY_KINDS,
    CAM_FORMATS,
    CAM_KINDS,
    DATASET_KINDS,
    backbone_facts,
    head_facts,
    module_name,
    weights_reader,
)

CPU_ENGINES = {
    "affinity": ("torch_engine",),
    "random_walk": ("numba_engine",),
    "dense_crf": ("numba_engine",),
}
"""What computes each part of the method on a CPU, see `wsss.method`."""

ALL_ENGINES = {
    "affinity": ("torch_engine", "triton_engine"),
    "random_walk": ("numba_engine", "torch_engine", "triton_engine"),
    "dense_crf": ("numba_engine", "torch_engine"),
}
"""What may compute it in a job that asks for a GPU: which one does, only the machine knows."""


def loaded_modules(study: Study, rule: str) -> list[str]:
    """Dotted names of the modules that a job of this rule may load by name, in ascending order."""
    return sorted(set(_loaded(study, rule)))


def _loaded(study: Study, rule: str) -> list[str]:
    cams, affinities = study.cams, study.affinities
    match rule:
        case "prepare_dataset":
            return [module_name(DATASET_KINDS, study.dataset.kind)]
        case "train_classifier":
            return _trained(study.classifier)
        case "score_classifier" | "bundle_classifier":
            return _backbone(study.classifier)
        case "compute_cams":
            return [module_name(CAM_KINDS, cams.kind), *_cams(study)]
        case "label_confident":
            return _dense_crf(study, study.confident)
        case "train_affinitynet":
            return [*_trained(study.affinitynet), *_engines("affinity")]
        case "train_irnet":
            return _trained(study.irnet)
        case "compute_affinities":
            return [module_name(AFFINITY_KINDS, affinities.kind), *_comparing(study)]
        case "random_walk":
            return [*_engines("random_walk"), *_dense_crf(study, study.random_walk)]
        case "sweep_random_walk" | "measure_quality":
            return _engines("random_walk", gpu=False)
        case "choose_random_walk" | "finish_sweep":
            walk = _engines("random_walk", gpu=False)
            return [*walk, *(_engines("dense_crf", gpu=False) if refining(study, study.random_walk) else [])]
        case "score_affinities":
            return _engines("random_walk")
        case "score_cams":
            refined = "dense_crf" in (study.confident.refine, study.random_walk.refine)
            return _engines("dense_crf", gpu=False) if refined else []
        case "train_segmenter":
            return [*_trained(study.segmenter), head_facts(study.segmenter.head).module]
        case "compute_segmentation":
            return [*_segmenter(study), *_dense_crf(study, study.segmentation)]
        case "predict_images":
            last = last_round(study)
            return [*_segmenter(last), *_dense_crf(last, last.segmentation)]
        case "bundle_segmenter":
            return _segmenter(last_round(study))
        case "bundle_affinitynet":
            return _backbone(study.affinitynet)
    return []


def _backbone(network: Network) -> list[str]:
    return [backbone_facts(network.backbone).module]


def _comparing(study: Study) -> list[str]:
    """What computes affinities; boundary maps of other systems need nothing."""
    match study.affinities.kind:
        case "network":
            return [*_backbone(study.affinitynet), *_engines("affinity")]
        case "irn":
            return _backbone(study.irnet)
    return []


def _segmenter(study: Study) -> list[str]:
    return [*_backbone(study.segmenter), head_facts(study.segmenter.head).module]


def _trained(network: Network) -> list[str]:
    """A network that starts from weights needs their reader."""
    reader = weights_reader(network.weights)
    return [*_backbone(network), *([reader] if reader else [])]


def _cams(study: Study) -> list[str]:
    """The network that gives CAMs or seeds, or the reader of a format of files."""
    match study.cams.kind:
        case "classifier":
            return _backbone(study.classifier)
        case "segmenter":
            return [*_segmenter(study), *_dense_crf(study, study.cams)]
    return [module_name(CAM_FORMATS, study.cams.format)]


def _dense_crf(study: Study, stage: Confident | RandomWalk | Segmentation | SegmenterCams) -> list[str]:
    return _engines("dense_crf") if refining(study, stage) else []


def _engines(part: str, *, gpu: bool = True) -> list[str]:
    engines = ALL_ENGINES if gpu else CPU_ENGINES
    return [module_name(f"method/{part}", engine) for engine in engines[part]]
