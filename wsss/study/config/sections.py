"""The study: one model per stage, and the one source of `config.yaml` and `schemas/config.schema.yaml`.

`wsss config write` writes both files; a field's description is its comment in `config.yaml`.
Lengths are in pixels of the image, or in cells of the stride-8 grid where a description says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from wsss.study.config.datasets import Coco, Folder, Shapes, Voc12
from wsss.study.config.fields import (
    Alphas,
    Betas,
    Constants,
    Count,
    Flip,
    Float,
    ImageScales,
    InputScale,
    Natural,
    NonNegative,
    Positive,
    Radius,
    Refine,
    Section,
    Share,
    Text,
    Ts,
)
from wsss.study.config.networks import AffinityNet, Classifier, Network, Segmenter
from wsss.study.config.text import problems
from wsss.study.registry import cam_formats


class ConfigError(ValueError):
    """A configuration that describes no study; the message lists every problem by key path."""


class Shards(Section):
    """Result files per split and stage. More shards: smaller jobs, so that a new image recomputes less."""

    train: Count = Field(2, description="100 to 500 images per shard work well")
    val: Count = Field(1, description="the same for val")
    test: Count = Field(1, description="the same for test, of a data set that has it")

    def __getitem__(self, split: str) -> int:
        """The number of shards of a split."""
        return int(getattr(self, split))


class ClassifierCams(Section):
    """Class activation maps: where in the image the classifier sees each of its classes."""

    kind: Literal["classifier"] = Field("classifier", description="our own CAMs; or files, see below")
    scales: ImageScales = (1.0, 0.5, 1.5, 2.0)
    flip: Flip = True


class FileCams(Section):
    """CAMs that another system has computed, one file per image."""

    kind: Literal["files"]
    format: Text = Field(
        description="stacks, psa, irn or clip_es, see docs/other_cams.md", examples=["stacks"]
    )
    folder: Text = Field(description="folder of the files, <id>.npy or <id>.npz", examples=["my_cams"])

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (known := cam_formats()):
            raise ValueError(f"allowed {' or '.join(known)}")
        return name


Cams = ClassifierCams | FileCams


class PowerThresholds(Section):
    """The paper's two backgrounds, (1 - largest CAM)^alpha."""

    kind: Literal["power"] = Field(
        "power", description="power: (1 - largest CAM)^alpha; or constant, see below"
    )
    low_alpha: Positive = Field(
        1.2, description="exponent of the strong background: a class that still beats it is confident"
    )
    high_alpha: Positive = Field(
        6.0, description="exponent of the weak background: pixels it still wins are confident background"
    )

    @field_validator("high_alpha")
    @classmethod
    def _above_low_alpha(cls, high_alpha: float, info: ValidationInfo) -> float:
        if high_alpha <= info.data.get("low_alpha", 0):
            raise ValueError(f"allowed a number > low_alpha ({info.data['low_alpha']:g})")
        return high_alpha


class ConstantThresholds(Section):
    """Two constant backgrounds, as IRN has them."""

    kind: Literal["constant"]
    foreground: Share = Field(0.3, description="a class that beats this score is confident")
    background: Share = Field(
        0.05, description="pixels where no class reaches this score are confident background"
    )

    @field_validator("background")
    @classmethod
    def _below_foreground(cls, background: float, info: ValidationInfo) -> float:
        if background >= (foreground := info.data.get("foreground", 1.1)):
            raise ValueError(f"allowed a number < foreground ({foreground:g})")
        return background


class Confident(Section):
    """Confident regions, the labels of AffinityNet: what a strong and a weak background agree on."""

    background: Annotated[PowerThresholds | ConstantThresholds, Field(discriminator="kind")] = (
        PowerThresholds()
    )
    refine: Refine = "dense_crf"
    pooling: Literal["vote", "scores"] = Field(
        "vote",
        description="label of a stride-8 cell; vote: the most frequent of its pixels; scores: the winner of "
        "their mean scores, as published",
    )


class DenseCrf(Section):
    """Dense CRF wherever a stage says `refine: dense_crf`. Published: [3, 3], [80, 13, 10] on 500 px."""

    iterations: Natural = Field(10, description="mean field iterations")
    gaussian: tuple[Positive, NonNegative] = Field(
        (3.0, 3.0), description="smoothing kernel: [pixels, weight]"
    )
    bilateral: tuple[Positive, Positive, NonNegative] = Field(
        (20.0, 10.0, 3.0), description="kernel that follows colours: [pixels, grey levels, weight]"
    )


class NetworkAffinities(Section):
    """Affinities as they are kept for the random walk, before the power beta."""

    kind: Literal["network"] = Field("network", description="of AffinityNet; or boundary, see below")
    flip: Flip = False


class BoundaryAffinities(Section):
    """1 - the largest boundary value on the path between two cells, as IRN has it."""

    kind: Literal["boundary"]
    folder: Text = Field(
        description="folder of boundary maps, <id>.npy or <id>.png", examples=["my_boundaries"]
    )
    input_scale: InputScale = 2.0
    radius: Radius = 5


Affinities = NetworkAffinities | BoundaryAffinities


class PowerBackground(Section):
    """The paper's background, which walks along with the classes."""

    kind: Literal["power"] = Field(
        "power", description="power: (1 - largest CAM)^alpha; or constant, see below"
    )
    alpha: Positive = Field(3.0, description="exponent; larger: less background; published: 16")


class ConstantBackground(Section):
    """A background with the same score everywhere."""

    kind: Literal["constant"]
    score: Share = Field(0.3, description="its score; larger: more background")


class RandomWalk(Section):
    """Random walk of the CAMs over the affinities: pseudo masks."""

    background: Annotated[PowerBackground | ConstantBackground, Field(discriminator="kind")] = (
        PowerBackground()
    )
    beta: Positive = Field(
        12.0, description="exponent of the affinities; larger: fainter borders stop the walk"
    )
    t: Count = Field(16, description="steps of the walk; it spreads over about radius * sqrt(t) / 2 cells")
    tolerance: Float = Field(0.0001, gt=0.0, lt=1.0, description="largest error of the propagated scores")
    normalize: Literal["none", "class", "image"] = Field(
        "none",
        description="after the walk; class: divide each class by its own maximum; image: divide all by the "
        "largest, as IRN does",
    )
    refine: Refine = "dense_crf"


class Sweep(Section):
    """`snakemake sweep`: other values of random_walk, without networks and without dense CRF."""

    alphas: Alphas = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
    constants: Constants = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
    betas: Betas = (4.0, 6.0, 8.0, 12.0, 16.0)
    ts: Ts = (8, 16, 32, 64, 128, 256)


class Segmentation(Section):
    """Masks predicted by the segmentation network."""

    splits: tuple[Literal["train", "val"], ...] = Field(
        ("train", "val"), description="splits that are segmented; train: for the gallery of the report"
    )
    scales: ImageScales = (1.0,)
    flip: Flip = False
    refine: Refine = "none"

    @field_validator("splits")
    @classmethod
    def _with_val(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if "val" not in splits or len(set(splits)) < len(splits):
            raise ValueError("allowed [val] or [train, val]")
        return tuple(sorted(splits))


class Predict(Section):
    """`snakemake predict`: masks of new photographs by the trained network, without labels."""

    images: Text | None = Field(
        None, description="folder of photographs, those in its sub-folders included; null: none"
    )
    shards: Count = Field(8, description="jobs; a new photograph recomputes one of them")


class Report(Section):
    """What the report shows."""

    gallery: Natural = Field(6, description="number of best images shown, and of worst")


class Study(Section):
    """Everything that decides the results of a study. Threads and memory are set in rules/ and profiles/."""

    name: str = Field(
        "shapes", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="results lie in <results>/<name>/"
    )
    results: Text = Field("results", description="relative to where snakemake runs")
    seed: Natural = Field(0, description="of initial weights, crops and order; mIoU varies by about 2 points")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where faster"
    )
    refined_splits: tuple[Literal["train", "val"], ...] = Field(
        ("train",), description="splits for which CAMs and pseudo masks are computed"
    )
    shards: Shards = Shards()
    dataset: Shapes | Folder | Voc12 | Coco = Field(Shapes(), discriminator="kind")
    classifier: Classifier = Classifier()
    cams: Cams = Field(ClassifierCams(), discriminator="kind")
    confident: Confident = Confident()
    dense_crf: DenseCrf = DenseCrf()
    affinitynet: AffinityNet = AffinityNet()
    affinities: Affinities = Field(NetworkAffinities(), discriminator="kind")
    random_walk: RandomWalk = RandomWalk()
    sweep: Sweep = Sweep()
    segmenter: Segmenter = Segmenter()
    segmentation: Segmentation = Segmentation()
    predict: Predict = Predict()
    report: Report = Report()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the data set; `test` has neither labels nor masks."""
        return ("train", "val", "test") if getattr(self.dataset, "test", False) else ("train", "val")

    @property
    def uses_classifier(self) -> bool:
        """Whether any stage needs the classifier: for its CAMs, or to start from its weights."""
        networks = [self.segmenter, *([self.affinitynet] if self.uses_affinitynet else [])]
        return self.cams.kind == "classifier" or any(net.weights == "classifier" for net in networks)

    @property
    def uses_affinitynet(self) -> bool:
        """Whether affinities, and so AffinityNet's labels, the confident regions, come from training."""
        return self.affinities.kind == "network"

    @property
    def trained_networks(self) -> list[str]:
        """The networks that this study trains, in the order of the road."""
        skipped = {"classifier": not self.uses_classifier, "affinitynet": not self.uses_affinitynet}
        return [name for name in ("classifier", "affinitynet", "segmenter") if not skipped.get(name)]

    @property
    def scored_artifacts(self) -> list[str]:
        """What this study makes and scores, in the order of the road."""
        skipped = {"classifier": not self.uses_classifier, "confident": not self.uses_affinitynet}
        road = ("classifier", "cams", "confident", "affinities", "random_walk", "segmentation")
        return [artifact for artifact in road if not skipped.get(artifact)]

    @field_validator("refined_splits")
    @classmethod
    def _with_train(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if "train" not in splits or len(set(splits)) < len(splits):
            raise ValueError("allowed [train] or [train, val]")
        return tuple(sorted(splits))

    @field_validator("affinitynet", "segmenter")
    @classmethod
    def _on_the_same_backbone(cls, network: Network, info: ValidationInfo) -> Network:
        classifier = info.data.get("classifier")
        if classifier and network.weights == "classifier" and network.backbone != classifier.backbone:
            raise ValueError(
                f"`weights: classifier` needs the classifier's backbone `{classifier.backbone}`, "
                f"not `{network.backbone}`"
            )
        return network

    @field_validator("affinitynet")
    @classmethod
    def _on_the_cells_of_the_labels(cls, network: AffinityNet, info: ValidationInfo) -> AffinityNet:
        confident = info.data.get("confident")
        if confident and confident.pooling == "scores" and network.input_scale != 1:
            raise ValueError(
                f"`confident.pooling: scores` labels cells of 8 pixels of the image, so allowed is "
                f"input_scale 1, not {network.input_scale:g}"
            )
        return network


def load_study(config: Mapping[str, Any]) -> Study:
    """The study that a configuration describes: laid over the defaults, see `merged`.

    Raises:
        ConfigError: Listing every problem: key path, what was given, what is allowed.
    """
    try:
        return Study.model_validate(merged(_defaults(), config))
    except ValidationError as error:
        found = problems(error, Study)
    raise ConfigError("\n  ".join(["invalid configuration:", *found]))


def read_study(*files: Path | str, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study of YAML files, each laid over those before it, see `merged`, and of `overrides` over all.

    Raises:
        ConfigError: If a file is no YAML mapping, or as for `load_study`.
        OSError: If a file cannot be read.
    """
    config: dict[str, Any] = {}
    for file in map(Path, files):
        try:
            overlay = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise ConfigError(f"{file}: not valid YAML: {error}") from error
        if not isinstance(overlay, dict):
            raise ConfigError(f"{file}: expected a mapping of keys and values")
        config = merged(config, overlay)
    return load_study(merged(config, overrides or {}))


@cache
def _defaults() -> dict[str, Any]:
    """The default study as plain values."""
    return Study().model_dump()


def merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a configuration over another: mappings are merged, everything else is replaced.

    A mapping of another `kind` replaces the one below it: the keys of one kind mean nothing to another.
    """
    both = {key for key in base if isinstance(base[key], dict) and isinstance(overlay.get(key), dict)}
    mixed = {key for key in both if overlay[key].get("kind", base[key].get("kind")) == base[key].get("kind")}
    return {**base, **overlay, **{key: merged(base[key], overlay[key]) for key in mixed}}
