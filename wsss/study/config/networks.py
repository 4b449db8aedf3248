"""The networks and how they are trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from wsss.study.config.fields import (
    Auto,
    BatchNorm,
    BatchSize,
    Count,
    CropSize,
    CropSizeOrAuto,
    Epochs,
    EpochsOrNone,
    Fraction,
    FrozenStages,
    InputScaleOrAuto,
    Jitter,
    NonNegative,
    NotBool,
    PathText,
    Radius,
    Resize,
    Section,
    Share,
    Text,
)
from wsss.study.config.training import CrossEntropy, Loss, Optimizer, Polynomial, Schedule, Sgd
from wsss.study.options import FeatureNormalization, NormalizationRate, Padding
from wsss.study.registry import Backbone, backbone_facts, head_facts

UNTRAINED = ("none", "imagenet", "classifier")
"""Values of `weights` that are not the path of a file."""

OutputStride = Annotated[
    Literal[8, 16, 32] | None,
    Field(
        description="pixels per cell of the last features; 8 has 16 times the cells of 32; null: the "
        "backbone's own"
    ),
    NotBool,
]


class Network(Section):
    """What the networks have in common."""

    backbone: Text = Field(
        "small",
        description="`small` trains from scratch in a minute; resnet38 and vgg16 are the paper's; "
        "timm/<name>: any of timm's; docs/backbones.md lists all",
    )
    weights: PathText = Field(
        "none",
        description="none, imagenet (downloaded), or a path: .pth, .safetensors, .params, .caffemodel",
    )
    output_stride: OutputStride = 8

    @field_validator("backbone")
    @classmethod
    def _known(cls, backbone: str) -> str:
        backbone_facts(backbone)
        return backbone

    @field_validator("weights")
    @classmethod
    def _exist(cls, weights: str, info: ValidationInfo) -> str:
        if weights == "imagenet" and (facts := _facts(info)) and not facts.imagenet:
            raise ValueError(
                f"`{info.data['backbone']}` has no ImageNet weights to download; allowed none or a path"
            )
        return weights

    @field_validator("output_stride")
    @classmethod
    def _possible(cls, output_stride: int | None, info: ValidationInfo) -> int | None:
        facts = _facts(info)
        if facts and output_stride not in facts.output_strides:
            allowed = " or ".join(
                "null" if stride is None else str(stride) for stride in facts.output_strides
            )
            raise ValueError(f"allowed {allowed} for `{info.data['backbone']}`")
        return output_stride

    @field_validator("epochs", check_fields=False)
    @classmethod
    def _trained_or_finished(cls, epochs: float | Auto, info: ValidationInfo) -> float | Auto:
        if epochs == 0 and info.data.get("weights") in UNTRAINED:
            raise ValueError("0 skips training, so `weights` must be the path of a trained checkpoint")
        return epochs

    @field_validator("frozen_stages", "batch_norm", check_fields=False)
    @classmethod
    def _worth_freezing(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("weights") == "none" and value not in (0, "trained"):
            raise ValueError("nothing to freeze: `weights: none` starts from random weights")
        return value

    def idle(self) -> frozenset[str]:
        """All that only training uses, if the network is loaded finished."""
        if getattr(self, "epochs", None) != 0:
            return frozenset()
        return frozenset(type(self).model_fields) - {"epochs", *self.describing()}

    @classmethod
    def describing(cls) -> frozenset[str]:
        """The keys that a finished network still needs, besides `epochs`: what it is made of."""
        return frozenset({"backbone", "weights", "output_stride"})


def _facts(info: ValidationInfo) -> Backbone | None:
    """What is known of the backbone; nothing of one that was refused."""
    backbone = info.data.get("backbone")
    return backbone_facts(backbone) if backbone else None


ViewScale = Annotated[
    float, Field(gt=0.0, lt=1.0, description="size of the view, as a share of the crop's"), NotBool
]


class Equivariance(Section):
    """A smaller, mirrored view of each crop, whose CAMs must be those of the crop (SEAM, CVPR 2020)."""

    weight: NonNegative = Field(
        0.0, description="of the difference between the two, beside the loss of the labels; 0: no such view"
    )
    scale: ViewScale = 0.5

    def idle(self) -> frozenset[str]:
        """Without a weight there is no view."""
        return frozenset() if self.weight else frozenset({"scale"})


class Classifier(Network):
    """Multi-label classifier; its last layer, a 1x1 convolution, gives the class activation maps (CAMs)."""

    frozen_stages: FrozenStages = 0
    batch_norm: BatchNorm = "trained"
    dropout: Fraction = Field(0.0, description="share of the last features' channels dropped in training")
    epochs: EpochsOrNone = 30.0
    batch_size: BatchSize = 16
    crop_size: CropSizeOrAuto = 128
    longest_side: Count | None = Field(
        None, description="pixels to which the longest side is resized before `scale`; null: unchanged"
    )
    scale: Resize = (0.9, 1.2)
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)
    equivariance: Equivariance = Equivariance()
    refit: NonNegative = Field(
        0.0,
        description="weight of a second head's loss, which tells the labels apart (ReCAM, CVPR 2022); "
        "for cams.weights: refit; 0: no such layer",
    )
    optimizer: Optimizer = Sgd()
    schedule: Schedule = Polynomial()

    @classmethod
    def describing(cls) -> frozenset[str]:
        """What a finished classifier is made of; a second head as well."""
        return super().describing() | {"refit"}


class OnImages(Section):
    """Augmented images: all layers learn that are not frozen."""

    kind: Literal["images"] = Field("images", description="augmented images, or features, see below")
    frozen_stages: FrozenStages = 0
    batch_norm: BatchNorm = "frozen"
    padding: Padding = Field(
        "mean", description="around an image smaller than the crop: the mean colour; black: as published"
    )
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)


class OnFeatures(Section):
    """Features of whole images, computed once: the backbone is frozen, and steps are many and cheap."""

    kind: Literal["features"]


class PairNetwork(Network):
    """What the networks have in common that learn from pairs of confident cells."""

    weights: PathText = Field(
        "classifier", description="classifier (its backbone), none, imagenet, or a path"
    )
    input_scale: InputScaleOrAuto = 2.0

    @field_validator("crop_size", check_fields=False)
    @classmethod
    def _holds_a_pair(cls, crop_size: int, info: ValidationInfo) -> int:
        needed = 16 * info.data.get("radius", 0)
        if crop_size < needed:
            raise ValueError(f"allowed {needed} or more, 2 * radius cells of 8 pixels")
        return crop_size

    @field_validator("train_on", check_fields=False)
    @classmethod
    def _has_learned(cls, train_on: OnImages | OnFeatures, info: ValidationInfo) -> Any:
        freezes = train_on.kind == "features" or train_on.frozen_stages or train_on.batch_norm == "frozen"
        if info.data.get("weights") == "none" and freezes:
            raise ValueError(
                "nothing to freeze: `weights: none` starts from random weights; allowed {kind: images, "
                "frozen_stages: 0, batch_norm: trained}"
            )
        return train_on

    @classmethod
    def describing(cls) -> frozenset[str]:
        """What a finished network is made of, and what it is shown."""
        return super().describing() | {"input_scale", "radius"}


class AffinityNet(PairNetwork):
    """AffinityNet: how alike two cells of the stride-8 grid are, for all pairs within a radius."""

    normalization: FeatureNormalization = Field(
        "group", description="of the 1x1 convolution of each of the three features"
    )
    normalization_rate: NormalizationRate = Field(
        "head",
        description="learning rate of these norms; head: with head_lr_multiplier; backbone: without, as "
        "published",
    )
    radius: Radius = 5
    border: Literal["full", "cropped"] = Field("full", description="full: all pairs; cropped: as published")
    epochs: EpochsOrNone = 4.0
    batch_size: BatchSize = 8
    crop_size: CropSize = Field(192, description="side of the square crop after input_scale, a multiple of 8")
    train_on: Annotated[OnImages | OnFeatures, Field(discriminator="kind")] = OnImages()
    optimizer: Optimizer = Sgd(learning_rate=0.02)
    schedule: Schedule = Polynomial()

    def idle(self) -> frozenset[str]:
        """The rate of the norms counts where there are norms, and two rates."""
        alike = self.normalization == "none" or self.optimizer.head_lr_multiplier == 1
        return super().idle() | (frozenset({"normalization_rate"}) if alike else frozenset())

    @classmethod
    def describing(cls) -> frozenset[str]:
        """What a finished AffinityNet is made of, and what it is shown."""
        return super().describing() | {"normalization", "border"}


class IRNet(PairNetwork):
    """IRNet, for `affinities: {kind: irn}`: where classes meet on the stride-8 grid, learned from pairs."""

    radius: Radius = 5
    displacement: bool = Field(
        False,
        description="the second branch, as published: displacements to the centres of objects; it moves no "
        "affinity where the backbone is frozen",
    )
    epochs: EpochsOrNone = 4.0
    batch_size: BatchSize = 8
    crop_size: CropSize = Field(192, description="side of the square crop after input_scale, a multiple of 8")
    train_on: Annotated[OnImages | OnFeatures, Field(discriminator="kind")] = OnImages()
    optimizer: Optimizer = Sgd(learning_rate=0.1)
    schedule: Schedule = Polynomial()

    @classmethod
    def describing(cls) -> frozenset[str]:
        """What a finished IRNet is made of, and what it is shown."""
        return super().describing() | {"displacement"}


class Selection(Section):
    """Which state of the network the training keeps; none of this needs a true mask."""

    of: Count = Field(
        1,
        description="states that are compared, in equal distances over the second half of the training; the "
        "one that predicts the pseudo masks of images held out best is kept; 1: the last",
    )
    held_out: Fraction = Field(0.05, description="share of the images of train that are held out for that")

    def idle(self) -> frozenset[str]:
        """The last state needs no comparison."""
        return frozenset({"held_out"}) if self.of == 1 else frozenset()


class Segmenter(Network):
    """Segmentation network, trained on the pseudo masks."""

    supervision: Literal["weak", "full"] = Field(
        "weak",
        description="full: trained on the true masks of the images of train that have one, in as many steps; "
        "for comparison, see upper_bound",
    )

    head: Text = Field(
        "deeplabv3",
        description="deeplabv3, or smp/unet, smp/fpn, smp/deeplabv3plus, smp/segformer, smp/upernet on any "
        "backbone; largefov on vgg16; resnet38 on resnet38",
    )
    weights: PathText = Field(
        "classifier", description="classifier (its backbone), none, imagenet, or a path"
    )
    corrected: PathText | None = Field(
        None,
        description="folder of corrected masks, trained on in place of the pseudo masks of their images; "
        "docs/correct.md",
    )
    frozen_stages: FrozenStages = 0
    batch_norm: BatchNorm = "trained"
    epochs: Epochs = 20.0
    batch_size: BatchSize = 16
    crop_size: CropSizeOrAuto = 128
    scale: Resize = (0.9, 1.2)
    jitter: Jitter = (0.2, 0.2, 0.2, 0.02)
    least_margin: Share = Field(
        0.0,
        description="pixels of pseudo masks where the first class leads the second by less than this share "
        "are not learned from; 0: all are",
    )
    agreed_with: PathText | None = Field(
        None,
        description="folder of other pseudo masks in as many shards, such as results/first/random_walk: "
        "pixels of which they say another class are not learned from; see rounds.agreement",
    )
    balance: Share = Field(
        0.0,
        description="weight of a class: its share of the pixels to the power -balance; 0: all weigh the same",
    )
    loss: Annotated[Loss, Field(discriminator="kind")] = CrossEntropy()
    selection: Selection = Selection()
    optimizer: Optimizer = Sgd()
    schedule: Schedule = Polynomial()

    @field_validator("head")
    @classmethod
    def _fits_the_backbone(cls, head: str, info: ValidationInfo) -> str:
        needed = head_facts(head).backbone
        if needed and info.data.get("backbone", needed) != needed:
            raise ValueError(f"needs the backbone `{needed}`, not `{info.data['backbone']}`")
        return head

    def idle(self) -> frozenset[str]:
        """Masks are corrected, and have margins, where pseudo masks are learned from."""
        of_pseudo_masks = frozenset({"corrected", "least_margin", "agreed_with"})
        return super().idle() | (of_pseudo_masks if self.supervision == "full" else frozenset())
