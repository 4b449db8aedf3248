"""The study: one model per stage, and the one source of `config.yaml` and `schemas/config.schema.yaml`.

`python -m wsss.config` writes both files; a field's description is its comment in `config.yaml`.
Lengths are in pixels of the image, or in cells of the stride-8 grid where a description says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from wsss.config_fields import (
    Backbone,
    BatchNorm,
    BatchSize,
    Count,
    CropSize,
    Epochs,
    Flip,
    Float,
    FrozenStages,
    ImageScales,
    Int,
    Jitter,
    LearningRate,
    Momentum,
    Natural,
    NewLayerFactor,
    NonNegative,
    OutputStride,
    Positive,
    Power,
    Refine,
    Resize,
    Section,
    Share,
    Text,
    WeightDecay,
)
from wsss.config_text import commented_yaml, did_you_mean, problems, schema_yaml


class ConfigError(ValueError):
    """A configuration that describes no study; the message lists every problem by key path."""


class Shards(Section):
    """Result files per split and stage: with more files a new image repeats less work, in more jobs."""

    train: Count = Field(4, description="100 to 500 images per file are a good measure")
    val: Count = Field(2, description="the same for val")

    def __getitem__(self, split: str) -> int:
        """The number of shards of a split."""
        return int(getattr(self, split))


class Shapes(Section):
    """Images with image-level labels. Masks serve for scoring only."""

    kind: Literal["shapes"] = Field("shapes", description="scenes drawn from a seed; folder: your own images")
    train: Count = Field(500, description="number of training images")
    val: Count = Field(100, description="number of unseen images on which the segmentation network is scored")
    size: Int = Field(128, ge=32, description="longest side of an image")
    seed: Natural = Field(0, description="another seed draws other images")


class Splits(Section):
    """Files with one image id per line."""

    train: Text = Field(description="ids of the training images")
    val: Text = Field(description="ids of the images on which the segmentation network is scored")


class Folder(Section):
    """A directory of images; the paths below `root` are relative to it."""

    kind: Literal["folder"] = Field(description="your own images")
    root: Text = Field(description="the directory, relative to where snakemake runs", examples=["my_photos"])
    images: Text = Field("images", description="folder of the images, <id>.jpg or <id>.png")
    labels: Text = Field("labels.csv", description="image-level labels, lines of `id,class class ...`")
    classes: Text = Field("classes.txt", description="one class per line; line n has the value n in masks")
    masks: Text | None = Field(None, description="folder of masks, <id>.png, for scoring; null: none")
    splits: Splits | None = Field(None, description="{train: file, val: file} of ids; null: see holdout")
    scored: Text | None = Field(None, description="file of train ids to score; null: all with a mask")
    holdout: Float = Field(
        0.1, gt=0.0, lt=1.0, description="without splits: share of images in val, by hash of id"
    )

    @field_validator("scored")
    @classmethod
    def _needs_masks(cls, scored: str | None, info: ValidationInfo) -> str | None:
        if scored and info.data.get("masks", "") is None:
            raise ValueError("allowed null, as long as `masks` is null: there is nothing to score on")
        return scored


PUBLISHED = ("resnet38", "vgg16")
"""Backbones of the paper, which exist at one output stride and have no weights that torchvision downloads."""

HEAD_BACKBONE = {"largefov": "vgg16", "resnet38": "resnet38"}
"""The backbone that a head of the segmentation network is made for; deeplabv3 fits any."""


class Network(Section):
    """What the three networks have in common."""

    backbone: Backbone = "small"
    weights: Text = Field("none", description="none, imagenet (downloads them), or the path of a .pth file")
    output_stride: OutputStride = 8

    @field_validator("weights")
    @classmethod
    def _exist(cls, weights: str, info: ValidationInfo) -> str:
        backbone = info.data.get("backbone")
        if weights == "imagenet" and backbone == "small":
            raise ValueError("the backbone `small` has no ImageNet weights")
        if weights == "imagenet" and backbone in PUBLISHED:
            raise ValueError(f"`{backbone}` has none to download; give the path of a .params or .caffemodel")
        return weights

    @field_validator("output_stride")
    @classmethod
    def _as_published(cls, output_stride: int, info: ValidationInfo) -> int:
        backbone = info.data.get("backbone")
        if backbone in PUBLISHED and output_stride != 8:
            raise ValueError(f"allowed 8, the only one of `{backbone}`")
        return output_stride

    @field_validator("frozen_stages", "batch_norm", "freeze_backbone", check_fields=False)
    @classmethod
    def _has_learned(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("weights") == "none" and value not in (0, False, "trained"):
            raise ValueError("`weights: none` leaves nothing that is worth freezing")
        return value


class Classifier(Network):
    """Multi-label classifier; its last layer, a 1x1 convolution, gives the class activation maps (CAMs)."""

    frozen_stages: FrozenStages = 0
    batch_norm: BatchNorm = "trained"
    dropout: Float = Field(
        0.0, ge=0.0, lt=1.0, description="share of the last level's channels dropped in training"
    )
    epochs: Epochs = 30.0
    batch_size: BatchSize = 16
    crop_size: CropSize = 128
    scale: Resize = (0.9, 1.2)
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)
    learning_rate: LearningRate = 0.05
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 0.0005
    new_layer_factor: NewLayerFactor = 1.0
    power: Power = 0.9


class Cam(Section):
    """Class activation maps: where in the image the classifier sees each of its classes."""

    scales: ImageScales = (1.0, 0.5, 1.5, 2.0)
    flip: Flip = True


class Confident(Section):
    """Confident regions, the labels of AffinityNet. The background scores (1 - largest CAM)^alpha."""

    low_alpha: Positive = Field(1.2, description="strong background: a class that still wins is confident")
    high_alpha: Positive = Field(6.0, description="weak background: where it still wins, it is confident")
    refine: Refine = "dense_crf"

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


class AffinityNet(Network):
    """AffinityNet: how alike two cells of the stride-8 grid are, for all pairs within a radius."""

    weights: Text = Field("classifier", description="classifier (its backbone), none, imagenet, or a path")
    input_scale: Positive = Field(
        2.0, description="resize of the image; a cell covers 8 / input_scale pixels"
    )
    freeze_backbone: bool = Field(False, description="true: features computed once, more steps a minute")
    normalization: Literal["none", "group"] = Field("group", description="of each level's 1x1 convolution")
    radius: Int = Field(5, ge=2, description="reach of a pair in cells; 5: 34 pairs per cell")
    border: Literal["full", "cropped"] = Field("full", description="full: all pairs; cropped: as published")
    epochs: Epochs = 9.0
    batch_size: BatchSize = 8
    crop_size: CropSize = Field(192, description="side of the square crop after input_scale, a multiple of 8")
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)
    learning_rate: LearningRate = 0.02
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 0.0005
    new_layer_factor: NewLayerFactor = 1.0
    power: Power = 0.9

    @field_validator("crop_size")
    @classmethod
    def _holds_a_pair(cls, crop_size: int, info: ValidationInfo) -> int:
        needed = 16 * info.data.get("radius", 0)
        if crop_size < needed:
            raise ValueError(f"allowed {needed} or more, 2 * radius cells of 8 pixels")
        return crop_size


class Affinity(Section):
    """Affinities as they are kept for the random walk, before the power beta."""

    flip: Flip = False


class RandomWalk(Section):
    """Random walk of the CAMs over the affinities: pseudo masks."""

    background: Literal["power", "constant"] = Field(
        "constant", description="its score: by alpha or constant"
    )
    alpha: Positive = Field(16.0, description="power: (1 - largest CAM)^alpha; larger means less background")
    constant: Share = Field(0.38, description="constant: this, everywhere; larger means more background")
    beta: Positive = Field(12.0, description="power of the affinities; larger: fainter borders stop the walk")
    t: Count = Field(32, description="steps of the walk; it spreads over some radius * sqrt(t) / 2 cells")
    tolerance: Float = Field(0.0001, gt=0.0, lt=1.0, description="largest error of the propagated scores")
    normalize: bool = Field(False, description="after the walk, divide each class by its maximum, as IRN")
    refine: Refine = "none"


class Segmenter(Network):
    """Segmentation network, trained on the pseudo masks."""

    name: Literal["deeplabv3", "largefov", "resnet38"] = Field(
        "deeplabv3", description="head: deeplabv3 on any backbone, largefov on vgg16, resnet38 on resnet38"
    )
    weights: Text = Field("classifier", description="classifier (its backbone), none, imagenet, or a path")
    frozen_stages: FrozenStages = 0
    batch_norm: BatchNorm = "trained"
    epochs: Epochs = 20.0
    batch_size: BatchSize = 16
    crop_size: CropSize = 128
    scale: Resize = (0.9, 1.2)
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)
    learning_rate: LearningRate = 0.05
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 0.0005
    new_layer_factor: NewLayerFactor = 1.0
    power: Power = 0.9

    @field_validator("name")
    @classmethod
    def _fits_the_backbone(cls, name: str, info: ValidationInfo) -> str:
        needed = HEAD_BACKBONE.get(name)
        if needed and info.data.get("backbone") != needed:
            raise ValueError(f"needs the backbone `{needed}`, not `{info.data.get('backbone')}`")
        return name


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
    dataset: Shapes | Folder = Field(Shapes(), discriminator="kind")
    classifier: Classifier = Classifier()
    cam: Cam = Cam()
    confident: Confident = Confident()
    dense_crf: DenseCrf = DenseCrf()
    affinitynet: AffinityNet = AffinityNet()
    affinity: Affinity = Affinity()
    random_walk: RandomWalk = RandomWalk()
    segmenter: Segmenter = Segmenter()
    segmentation: Segmentation = Segmentation()
    report: Report = Report()

    @field_validator("refined_splits")
    @classmethod
    def _with_train(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if "train" not in splits or len(set(splits)) < len(splits):
            raise ValueError("allowed [train] or [train, val]")
        return tuple(sorted(splits))

    @field_validator("dataset", mode="before")
    @classmethod
    def _without_leftovers(cls, dataset: Any) -> Any:
        """Drop the keys of `shapes` left when an overlay of another kind is merged over `config.yaml`."""
        if not isinstance(dataset, Mapping):
            return dataset
        dataset = {"kind": "shapes"} | dict(dataset)
        leftovers = set() if dataset["kind"] == "shapes" else Shapes.model_fields.keys() - {"kind"}
        return {key: value for key, value in dataset.items() if key not in leftovers}

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


# The sections, or keys of sections, that a rule's result depends on; a change of any other does not rerun it.
_USED = {
    "prepare_dataset": "dataset shards",
    "train_classifier": "seed precision classifier",
    "compute_cams": "precision classifier.backbone classifier.output_stride cam",
    "label_confident_regions": "confident dense_crf",
    "train_affinitynet": "seed precision affinitynet",
    "compute_affinities": "precision affinitynet.backbone affinitynet.output_stride affinitynet.input_scale "
    "affinitynet.normalization affinitynet.radius affinitynet.border affinity",
    "propagate_cams": "random_walk dense_crf",
    "train_segmenter": "seed precision segmenter",
    "segment": "precision segmenter.backbone segmenter.output_stride segmenter.name segmentation dense_crf",
    "export_masks": "",
    "evaluate_classifier": "precision",
    "evaluate_cams": "confident.refine random_walk.refine dense_crf",
    "evaluate_confident": "",
    "evaluate_affinities": "affinitynet.input_scale affinitynet.radius affinitynet.border random_walk",
    "evaluate_pseudo_masks": "",
    "evaluate_segmentation": "",
    "plot_scores": "",
    "plot_history": "",
    "plot_train_gallery": "precision segmentation dense_crf report",
    "plot_val_gallery": "report",
}


def section_params(study: Study, rule: str) -> dict[str, Any]:
    """The part of the configuration that a rule's result depends on, by section, as plain JSON values.

    Order and types are fixed (`8` and `8.0` in YAML give the same), so that Snakemake, which compares
    representations, sees a change exactly where there is one.

    Raises:
        ValueError: If no such rule is known.
    """
    if rule not in _USED:
        raise ValueError(
            f"rule {rule!r}: wsss/config.py does not say what it uses{did_you_mean(rule, _USED)}"
        )
    settings = study.model_dump(mode="json")
    params: dict[str, Any] = {}
    for path in _USED[rule].split():
        section, _, key = path.partition(".")
        if key:
            params.setdefault(section, {})[key] = settings[section][key]
        else:
            params[section] = settings[section]
    if not any(part.get("refine") == "dense_crf" for part in params.values() if isinstance(part, dict)):
        params.pop("dense_crf", None)
    return params


def main(root: Path) -> None:
    """Write `config.yaml` and `schemas/config.schema.yaml` under the repository's root."""
    (root / "config.yaml").write_text(commented_yaml(Study()), encoding="utf-8")
    (root / "schemas" / "config.schema.yaml").write_text(schema_yaml(Study), encoding="utf-8")


if __name__ == "__main__":
    main(Path.cwd())
