"""The three networks and how they are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from wsss.study.config.fields import (
    Backbone,
    BatchNorm,
    BatchSize,
    Count,
    CropSize,
    Epochs,
    EpochsOrNone,
    Float,
    FrozenStages,
    Int,
    Jitter,
    LearningRate,
    Momentum,
    NewLayerFactor,
    OutputStride,
    Positive,
    Power,
    Resize,
    Section,
    Text,
    WeightDecay,
)

PUBLISHED = ("resnet38", "vgg16")
"""Backbones of the paper, which exist at one output stride and have no weights that torchvision downloads."""

HEAD_BACKBONE = {"largefov": "vgg16", "resnet38": "resnet38"}
"""The backbone that a head of the segmentation network is made for; deeplabv3 fits any."""


class Network(Section):
    """What the three networks have in common."""

    backbone: Backbone = "small"
    weights: Text = Field(
        "none", description="none, imagenet (downloads them), or a path: .pth, .params, .caffemodel"
    )
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

    @field_validator("epochs", check_fields=False)
    @classmethod
    def _trained_or_finished(cls, epochs: float, info: ValidationInfo) -> float:
        if epochs == 0 and info.data.get("weights") in ("none", "imagenet", "classifier"):
            raise ValueError("only `weights` with the path of a finished network need no training")
        return epochs

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
    epochs: EpochsOrNone = 30.0
    batch_size: BatchSize = 16
    crop_size: CropSize = 128
    longest_side: Count | None = Field(
        None, description="pixels to which the longest side is brought before `scale`; null: as it is"
    )
    scale: Resize = (0.9, 1.2)
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)
    learning_rate: LearningRate = 0.05
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 0.0005
    new_layer_factor: NewLayerFactor = 1.0
    power: Power = 0.9


class AffinityNet(Network):
    """AffinityNet: how alike two cells of the stride-8 grid are, for all pairs within a radius."""

    weights: Text = Field("classifier", description="classifier (its backbone), none, imagenet, or a path")
    input_scale: Positive = Field(
        2.0, description="resize of the image; a cell covers 8 / input_scale pixels"
    )
    frozen_stages: FrozenStages = 0
    freeze_backbone: bool = Field(
        False, description="true: features of whole images computed once, more steps a minute"
    )
    normalization: Literal["none", "group"] = Field("group", description="of each level's 1x1 convolution")
    radius: Int = Field(5, ge=2, description="reach of a pair in cells; 5: 34 pairs per cell")
    border: Literal["full", "cropped"] = Field("full", description="full: all pairs; cropped: as published")
    epochs: EpochsOrNone = 4.0
    batch_size: BatchSize = 8
    crop_size: CropSize = Field(192, description="side of the square crop after input_scale, a multiple of 8")
    padding: Literal["mean", "black"] = Field(
        "mean", description="around an image smaller than the crop: the mean colour; black: as published"
    )
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
