"""What each rule's result depends on: the sections of the configuration that its job is given, and no others.

Snakemake compares these params, as plain JSON, and reruns a rule where they differ. A job reads them back
once, into the same sections, and hands those on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from wsss.study.config import (
    Affinities,
    AffinityNet,
    Cams,
    Classifier,
    ClassifierCams,
    Coco,
    Confident,
    DenseCrf,
    Folder,
    IRNet,
    NetworkAffinities,
    RandomWalk,
    Report,
    Segmentation,
    Segmenter,
    SegmenterCams,
    Shapes,
    Shards,
    Study,
    Voc12,
)
from wsss.study.config.fields import Section
from wsss.study.counts import shard_counts
from wsss.study.inner import last_round
from wsss.study.options import CellPadding, NormalizedOn, Precision, ScoreNormalization
from wsss.study.swept import images_per_shard, swept
from wsss.study.words import did_you_mean


class Params(Section):
    """The sections that a rule's result depends on."""

    @classmethod
    def of(cls, study: Study) -> Self:
        """Take the sections of a study; a subclass that needs more than their names says how."""
        return cls(**{name: getattr(study, name) for name in cls.model_fields})

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values in a fixed order, without the keys that have no effect."""
        return _effective(self)


def _effective(section: Section) -> dict[str, Any]:
    plain = section.model_dump(mode="json", exclude=set(section.idle()))
    inner = {name: getattr(section, name) for name in plain}
    return {
        name: _effective(inner[name]) if isinstance(inner[name], Section) else plain[name] for name in plain
    }


class Nothing(Params):
    """A rule whose result depends on its inputs alone."""


class OnDevice(Params):
    """Sections of a rule that asks for a GPU, and whether it must make the same with any number of threads.

    Results from before the key existed, and all where it is false, have params without it.
    """

    deterministic: bool = False

    def idle(self) -> frozenset[str]:
        """It says nothing unless it is true."""
        return super().idle() | (frozenset() if self.deterministic else frozenset({"deterministic"}))


class PrepareDataset(Params):
    """The data set, and how its images are spread over files."""

    dataset: Shapes | Folder | Voc12 | Coco = Field(discriminator="kind")
    shards: Shards

    @classmethod
    def of(cls, study: Study) -> Self:
        """The number of shards of test counts only where the data set has test images."""
        unused = {} if "test" in study.splits else {"test": 1}
        return cls(dataset=study.dataset, shards=shard_counts(study).model_copy(update=unused))


class TrainClassifier(OnDevice):
    """The classifier, and what decides its random numbers and rounding."""

    seed: int
    precision: Precision
    classifier: Classifier


class ComputeCams(OnDevice):
    """How CAMs are computed; files of other systems are read without a network."""

    precision: Precision | None
    cams: Cams = Field(discriminator="kind")
    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """Precision counts only where a network runs, the dense CRF only where it refines."""
        cams = study.cams
        return cls(
            deterministic=study.deterministic and cams.kind != "files",
            precision=None if cams.kind == "files" else study.precision,
            cams=cams,
            dense_crf=refining(study, cams) if cams.kind == "segmenter" else None,
        )


class LabelConfident(OnDevice):
    """Confident regions, and the dense CRF if it refines them."""

    confident: Confident
    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The dense CRF counts only where it refines."""
        dense_crf = refining(study, study.confident)
        return cls(deterministic=study.deterministic, confident=study.confident, dense_crf=dense_crf)


class TrainAffinityNet(OnDevice):
    """AffinityNet, and what decides its random numbers and rounding."""

    seed: int
    precision: Precision
    affinitynet: AffinityNet


class TrainIRNet(OnDevice):
    """IRNet, and what decides its random numbers and rounding."""

    seed: int
    precision: Precision
    irnet: IRNet


class ComputeAffinities(OnDevice):
    """How affinities are computed; those of boundary maps without a network."""

    precision: Precision | None
    affinities: Affinities = Field(discriminator="kind")

    @classmethod
    def of(cls, study: Study) -> Self:
        """Precision counts only where a network runs."""
        return cls(
            deterministic=study.deterministic and study.pair_network is not None,
            precision=study.precision if study.pair_network else None,
            affinities=study.affinities,
        )


class WalkCams(OnDevice):
    """The random walk, and the dense CRF if it refines the masks."""

    random_walk: RandomWalk
    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The dense CRF counts only where it refines."""
        walk = study.random_walk
        return cls(deterministic=study.deterministic, random_walk=walk, dense_crf=refining(study, walk))


class SweepRandomWalk(Params):
    """What is tried; beta is a wildcard of the rule."""

    alphas: tuple[float, ...]
    constants: tuple[float, ...]
    ts: tuple[int, ...]
    tolerance: float
    padding: CellPadding
    normalize: tuple[ScoreNormalization, ...]
    normalize_on: NormalizedOn
    images: int | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """Without normalisation, and with that of the random walk, by class if it has none."""
        sweep, walk = swept(study), study.random_walk
        normalized = "class" if walk.normalize == "none" else walk.normalize
        return cls(
            alphas=sweep.alphas,
            constants=sweep.constants,
            ts=sweep.ts,
            tolerance=walk.tolerance,
            padding=walk.padding,
            normalize=("none", normalized),
            normalize_on=walk.normalize_on,
            images=images_per_shard(study),
        )


class FinishSweep(Params):
    """What no point of a sweep says of the random walk, and the dense CRF if it refines the masks."""

    tolerance: float
    padding: CellPadding
    normalize_on: NormalizedOn
    dense_crf: DenseCrf | None
    images: int | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """Background, beta and t of the study do not count."""
        walk = study.random_walk
        return cls(
            tolerance=walk.tolerance,
            padding=walk.padding,
            normalize_on=walk.normalize_on,
            dense_crf=refining(study, walk),
            images=images_per_shard(study),
        )


class ChooseRandomWalk(Params):
    """Which keys of the random walk are chosen, and the dense CRF if it refines the masks."""

    random_walk: RandomWalk
    dense_crf: DenseCrf | None
    images: int | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The dense CRF counts only where it refines."""
        walk = study.random_walk
        return cls(random_walk=walk, dense_crf=refining(study, walk), images=images_per_shard(study))


class TrainSegmenter(OnDevice):
    """The segmentation network, and what decides its random numbers and rounding."""

    seed: int
    precision: Precision
    segmenter: Segmenter


class ComputeSegmentation(OnDevice):
    """How images are segmented, and the dense CRF if it refines the masks."""

    precision: Precision
    segmentation: Segmentation
    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The dense CRF counts only where it refines."""
        return cls(
            deterministic=study.deterministic,
            precision=study.precision,
            segmentation=of_any_split(study),
            dense_crf=refining(study, study.segmentation),
        )


class ScoreClassifier(OnDevice):
    """The classifier describes itself."""

    precision: Precision


class ScoreCams(Params):
    """CAMs are scored after the dense CRF too, where the study refines by it."""

    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The dense CRF of the confident regions or of the random walk."""
        return cls(dense_crf=refining(study, study.confident) or refining(study, study.random_walk))


class ScoreAffinities(OnDevice):
    """The random walk that is scored over true affinities."""

    random_walk: RandomWalk

    @classmethod
    def of(cls, study: Study) -> Self:
        """Its masks are not refined."""
        walk = study.random_walk.model_copy(update={"refine": "none"})
        return cls(deterministic=study.deterministic, random_walk=walk)


class CheckCorrected(Params):
    """The folder of the corrected masks, below which an image's id is the path of its file."""

    corrected: str | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """A key of the section of the network that learns from them."""
        return cls(corrected=study.segmenter.corrected)


class BundleClassifier(Params):
    """What the classifier's bundle says of the study, and how it computes CAMs."""

    name: str
    precision: Precision
    cams: ClassifierCams

    @classmethod
    def of(cls, study: Study) -> Self:
        """A classifier that only lends its weights computes CAMs as the default study does."""
        cams = study.cams if study.cams.kind == "classifier" else ClassifierCams()
        return cls(name=study.name, precision=study.precision, cams=cams)


class BundleAffinityNet(Params):
    """What AffinityNet's bundle says of the study, and the walk over its affinities."""

    name: str
    precision: Precision
    affinities: NetworkAffinities
    random_walk: RandomWalk
    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The dense CRF counts only where it refines."""
        network = study.affinities if study.affinities.kind == "network" else NetworkAffinities()
        return cls(
            name=study.name,
            precision=study.precision,
            affinities=network,
            random_walk=study.random_walk,
            dense_crf=refining(study, study.random_walk),
        )


class BundleSegmenter(Params):
    """What the segmentation network's bundle says of the study, and how it segments."""

    name: str
    rounds: int
    precision: Precision
    segmentation: Segmentation
    dense_crf: DenseCrf | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """As `compute_segmentation` does in the last round, whose network it is."""
        segmented = ComputeSegmentation.of(last_round(study))
        return cls(
            name=study.name,
            rounds=study.rounds.count,
            precision=segmented.precision,
            segmentation=segmented.segmentation,
            dense_crf=segmented.dense_crf,
        )


class MeasureQuality(Params):
    """The random walk whose masks are measured; the dense CRF's settings show in the masks."""

    random_walk: RandomWalk


class PredictImages(OnDevice):
    """The folder of the new photographs, below which the path of each is its id."""

    images: str | None

    @classmethod
    def of(cls, study: Study) -> Self:
        """The number of jobs changes no mask."""
        return cls(deterministic=study.deterministic, images=study.predict.images)


class WriteReport(Params):
    """What the page is called; its folder has the same name."""

    name: str


class PlotGallery(Params):
    """How many images are shown."""

    report: Report


class WriteTables(Params):
    """What the column "protocol" says."""

    cams: Cams = Field(discriminator="kind")
    random_walk: RandomWalk
    segmentation: Segmentation

    @classmethod
    def of(cls, study: Study) -> Self:
        """The number of splits shows in the scores."""
        return cls(cams=study.cams, random_walk=study.random_walk, segmentation=of_any_split(study))


PARAMS: Mapping[str, type[Params]] = {
    "prepare_dataset": PrepareDataset,
    "train_classifier": TrainClassifier,
    "compute_cams": ComputeCams,
    "label_confident": LabelConfident,
    "train_affinitynet": TrainAffinityNet,
    "train_irnet": TrainIRNet,
    "compute_affinities": ComputeAffinities,
    "random_walk": WalkCams,
    "sweep_random_walk": SweepRandomWalk,
    "rank_sweep": Nothing,
    "finish_sweep": FinishSweep,
    "choose_random_walk": ChooseRandomWalk,
    "plot_sweep": Nothing,
    "train_segmenter": TrainSegmenter,
    "compute_segmentation": ComputeSegmentation,
    "export_masks": Nothing,
    "measure_quality": MeasureQuality,
    "rank_quality": Nothing,
    "check_corrected": CheckCorrected,
    "bundle_classifier": BundleClassifier,
    "bundle_affinitynet": BundleAffinityNet,
    "bundle_segmenter": BundleSegmenter,
    "predict_images": PredictImages,
    "collect_predictions": Nothing,
    "score_classifier": ScoreClassifier,
    "score_cams": ScoreCams,
    "score_confident": Nothing,
    "score_affinities": ScoreAffinities,
    "score_random_walk": Nothing,
    "score_segmentation": Nothing,
    "score_quality": Nothing,
    "check_health": Nothing,
    "gather_health": Nothing,
    "plot_scores": Nothing,
    "plot_history": Nothing,
    "plot_train_gallery": PlotGallery,
    "plot_val_gallery": PlotGallery,
    "plot_quality": PlotGallery,
    "write_tables": WriteTables,
    "write_report": WriteReport,
    "voc_submission": Nothing,
}
"""By rule."""


def params_class(rule: str) -> type[Params]:
    """The class of a rule's params.

    Raises:
        ValueError: there is no such rule.
    """
    if rule not in PARAMS:
        raise ValueError(
            f"rule {rule!r}: wsss/study/params.py has no params for it{did_you_mean(rule, PARAMS)}"
        )
    return PARAMS[rule]


def rule_params(study: Study, rule: str) -> dict[str, Any]:
    """The part of the configuration that a rule's result depends on, by section, as plain JSON values.

    Order and types are fixed (`8` and `8.0` in YAML give the same), so that Snakemake, which compares
    representations, sees a change exactly where there is one.

    Raises:
        ValueError: If no such rule is known.
    """
    return params_class(rule).of(study).as_json()


def of_any_split(study: Study) -> Segmentation:
    """Section `segmentation` as it is for every split: which ones are segmented changes no mask."""
    return study.segmentation.model_copy(update={"splits": ("train", "val")})


def refining(study: Study, stage: Confident | RandomWalk | Segmentation | SegmenterCams) -> DenseCrf | None:
    """The dense CRF, if a stage refines by it."""
    return study.dense_crf if stage.refine == "dense_crf" else None
