"""The study: one model per stage, and the one source of `config.yaml` and `schemas/config.schema.yaml`.

`python -m wsss.study.config` writes both files; a field's description is its comment in `config.yaml`.
Lengths are in pixels of the image, or in cells of the stride-8 grid where a description says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

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
    Natural,
    NonNegative,
    Positive,
    Refine,
    Section,
    Share,
    Text,
    Ts,
)
from wsss.study.config.networks import AffinityNet, Classifier, Network, Segmenter
from wsss.study.config.text import problems


class ConfigError(ValueError):
    """A configuration that describes no study; the message lists every problem by key path."""


class Shards(Section):
    """Result files per split and stage: with more files a new image repeats less work, in more jobs."""

    train: Count = Field(2, description="100 to 500 images per file are a good measure")
    val: Count = Field(1, description="the same for val")
    test: Count = Field(1, description="the same for test, of a data set that has it")

    def __getitem__(self, split: str) -> int:
        """The number of shards of a split."""
        return int(getattr(self, split))


def _where_used(folder: str | None, used: bool, otherwise: str) -> str | None:
    """Refuse a folder that is missing where it is used, or given where a forgotten key leaves it unused."""
    if used and folder is None:
        raise ValueError("allowed the path of a folder")
    if not used and folder is not None:
        raise ValueError(f"allowed null, as {otherwise} reads no folder")
    return folder


class Cam(Section):
    """Class activation maps: where in the image the classifier sees each of its classes."""

    source: Literal["classifier", "stacks", "psa", "irn", "clip_es"] = Field(
        "classifier", description="classifier, or files as of stacks, psa, irn, clip_es: docs/other_cams.md"
    )
    folder: Text | None = Field(None, description="of these files, <id>.npy or <id>.npz")
    scales: ImageScales = (1.0, 0.5, 1.5, 2.0)
    flip: Flip = True

    @field_validator("folder")
    @classmethod
    def _goes_with_the_source(cls, folder: str | None, info: ValidationInfo) -> str | None:
        return _where_used(folder, info.data.get("source") != "classifier", "`source: classifier`")


class Confident(Section):
    """Confident regions, the labels of AffinityNet: what a strong and a weak background agree on."""

    background: Literal["power", "constant"] = Field(
        "power", description="its score: (1 - largest CAM)^alpha or constant"
    )
    low_alpha: Positive = Field(1.2, description="strong background: a class that still wins is confident")
    high_alpha: Positive = Field(6.0, description="weak background: where it still wins, it is confident")
    foreground_threshold: Share = Field(0.3, description="constant: a class that beats it is confident")
    background_threshold: Share = Field(0.05, description="constant: background where no class reaches it")
    refine: Refine = "dense_crf"
    pooling: Literal["vote", "scores"] = Field(
        "vote",
        description="label of a stride-8 cell: vote of its pixels; scores: by their mean, as published",
    )

    @field_validator("background_threshold")
    @classmethod
    def _below_foreground(cls, background: float, info: ValidationInfo) -> float:
        if background >= (foreground := info.data.get("foreground_threshold", 1.1)):
            raise ValueError(f"allowed a number < foreground_threshold ({foreground:g})")
        return background

    @field_validator("high_alpha")
    @classmethod
    def _above_low_alpha(cls, high_alpha: float, info: ValidationInfo) -> float:
        if high_alpha <= info.data.get("low_alpha", 0):
            raise ValueError(f"allowed a number > low_alpha ({info.data['low_alpha']:g})")
        return high_alpha


class DenseCrf(Section):
    """Dense CRF wherever a stage says `refine: dense_crf`. Published: [3, 3], [80, 13, 10] on 500 px."""

    iterations: Natural = Field(10, description="of mean field")
    gaussian: tuple[Positive, NonNegative] = Field(
        (3.0, 3.0), description="[pixels, weight] of the kernel that smoothes"
    )
    bilateral: tuple[Positive, Positive, NonNegative] = Field(
        (20.0, 10.0, 3.0), description="[pixels, grey levels, weight] of the kernel that follows colours"
    )


class Affinity(Section):
    """Affinities as they are kept for the random walk, before the power beta."""

    kind: Literal["network", "boundary"] = Field(
        "network", description="network: AffinityNet; boundary: 1 - the largest on the path, IRN"
    )
    boundaries: Text | None = Field(None, description="folder of these maps, <id>.npy or <id>.png")
    flip: Flip = False

    @field_validator("boundaries")
    @classmethod
    def _goes_with_the_kind(cls, boundaries: str | None, info: ValidationInfo) -> str | None:
        return _where_used(boundaries, info.data.get("kind") == "boundary", "`kind: network`")


class RandomWalk(Section):
    """Random walk of the CAMs over the affinities: pseudo masks."""

    background: Literal["power", "constant"] = Field(
        "constant", description="its score: by alpha or constant"
    )
    alpha: Positive = Field(16.0, description="power: (1 - largest CAM)^alpha; larger means less background")
    constant: Share = Field(0.3, description="constant: this, everywhere; larger means more background")
    beta: Positive = Field(12.0, description="power of the affinities; larger: fainter borders stop the walk")
    t: Count = Field(16, description="steps of the walk; it spreads over some radius * sqrt(t) / 2 cells")
    tolerance: Float = Field(0.0001, gt=0.0, lt=1.0, description="largest error of the propagated scores")
    normalize: bool = Field(False, description="after the walk, divide classes by their maximum")
    normalize_by: Literal["class", "image"] = Field(
        "class", description="class: its own maximum; image: the largest of all, as IRN"
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

    scales: ImageScales = (1.0,)
    flip: Flip = False
    refine: Refine = "none"


class Report(Section):
    """What the report shows."""

    gallery: Natural = Field(6, description="images shown of the best, and as many of the worst")


class Study(Section):
    """All that decides the results of a study. Threads and memory stand in rules/ and profiles/."""

    name: str = Field(
        "shapes", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="results lie in <results>/<name>/"
    )
    results: Text = Field("results", description="relative to where snakemake runs")
    seed: Natural = Field(0, description="of first weights, crops, order; mIoU varies by some 2 points")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where faster"
    )
    refined_splits: tuple[Literal["train", "val"], ...] = Field(("train",), description="with CAMs and masks")
    shards: Shards = Shards()
    dataset: Shapes | Folder | Voc12 | Coco = Field(Shapes(), discriminator="kind")
    classifier: Classifier = Classifier()
    cam: Cam = Cam()
    confident: Confident = Confident()
    dense_crf: DenseCrf = DenseCrf()
    affinitynet: AffinityNet = AffinityNet()
    affinity: Affinity = Affinity()
    random_walk: RandomWalk = RandomWalk()
    sweep: Sweep = Sweep()
    segmenter: Segmenter = Segmenter()
    segmentation: Segmentation = Segmentation()
    report: Report = Report()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the data set; `test` has neither labels nor masks."""
        return ("train", "val", "test") if getattr(self.dataset, "test", False) else ("train", "val")

    @property
    def uses_classifier(self) -> bool:
        """Whether any stage needs the classifier: for its CAMs, or to start from its weights."""
        networks = [self.segmenter, *([self.affinitynet] if self.uses_affinitynet else [])]
        return self.cam.source == "classifier" or any(net.weights == "classifier" for net in networks)

    @property
    def uses_affinitynet(self) -> bool:
        """Whether affinities, and so AffinityNet's labels, the confident regions, come from training."""
        return self.affinity.kind == "network"

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

    @field_validator("dataset", mode="before")
    @classmethod
    def _without_leftovers(cls, dataset: Any) -> Any:
        """Drop the numbers of `shapes` left when an overlay of another kind is merged over `config.yaml`."""
        if not isinstance(dataset, Mapping):
            return dataset
        dataset = {"kind": "shapes"} | dict(dataset)
        numbers = Shapes.model_fields if dataset["kind"] != "shapes" else ()
        return {
            key: value for key, value in dataset.items() if not (key in numbers and isinstance(value, int))
        }

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
    """The study that a configuration describes; keys that it leaves out have their default.

    Raises:
        ConfigError: Listing every problem: key path, what was given, what is allowed.
    """
    try:
        return Study.model_validate(dict(config))
    except ValidationError as error:
        found = problems(error, Study)
    raise ConfigError("\n  ".join(["the configuration describes no study:", *found]))


def read_study(*files: Path | str) -> Study:
    """The study of YAML files, each merged over those before it, as Snakemake merges `--configfile`s.

    Raises:
        ConfigError: If a file is no YAML mapping, or as for `load_study`.
        OSError: If a file cannot be read.
    """
    config: dict[str, Any] = {}
    for file in map(Path, files):
        try:
            overlay = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise ConfigError(f"{file}: no YAML: {error}") from error
        if not isinstance(overlay, dict):
            raise ConfigError(f"{file}: expected keys and values")
        config = _merged(config, overlay)
    return load_study(config)


def _merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key in base if isinstance(base[key], dict) and isinstance(overlay.get(key), dict)}
    return {**base, **overlay, **{key: _merged(base[key], overlay[key]) for key in both}}
