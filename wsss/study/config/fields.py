"""Kinds of values that sections of the configuration share, each with the comment that explains it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


def _no_truth(value: Any) -> Any:
    """YAML reads `yes` and `on` as true, which would pass as the number 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("bool_for_number", "true and false are no numbers")
    return value


def _ascending(scale: tuple[float, float]) -> tuple[float, float]:
    if scale[0] > scale[1]:
        raise ValueError("allowed [lowest, highest]")
    return scale


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted(set(values)))


# Last of the annotations with a constraint: those that follow it are lost to the JSON schema.
NotBool = BeforeValidator(_no_truth)

Int = Annotated[int, NotBool]
Float = Annotated[float, NotBool]
Natural = Annotated[int, Field(ge=0), NotBool]
Count = Annotated[int, Field(ge=1), NotBool]
NonNegative = Annotated[float, Field(ge=0.0), NotBool]
Positive = Annotated[float, Field(gt=0.0), NotBool]
Share = Annotated[float, Field(ge=0.0, le=1.0), NotBool]
Turns = Annotated[float, Field(ge=0.0, le=0.5), NotBool]
Text = Annotated[str, Field(min_length=1)]

Backbone = Annotated[
    Literal["small", "mobilenet_v2", "resnet18", "resnet50", "resnet38", "vgg16"],
    Field(description="small learns from nothing in a minute; resnet38, vgg16: the paper's"),
]
OutputStride = Annotated[
    Literal[8, 16, 32],
    Field(description="pixels per cell of the last level; 8 has 16 times the cells of 32"),
]
FrozenStages = Annotated[
    Natural, Field(description="so many first stages of the backbone keep their weights")
]
BatchNorm = Annotated[
    Literal["frozen", "trained"],
    Field(description="frozen: statistics and scales stay those of the loaded weights"),
]
Epochs = Annotated[Positive, Field(description="passes over train; steps = epochs * images / batch_size")]
EpochsOrNone = Annotated[
    NonNegative,
    Field(
        description="passes over train; steps = epochs * images / batch_size; 0: none, `weights` is the path "
        "of the finished network"
    ),
]
BatchSize = Annotated[Count, Field(description="images per step")]
CropSize = Annotated[
    int,
    Field(ge=32, multiple_of=8, description="side of the square crop, a multiple of 8"),
    NotBool,
]
Resize = Annotated[
    tuple[Positive, Positive],
    AfterValidator(_ascending),
    Field(description="[lowest, highest] factor of the random resize before the crop"),
]
Jitter = Annotated[
    tuple[Share, Share, Share, Turns],
    Field(description="random change of brightness, contrast, saturation (shares) and hue (turns)"),
]
LearningRate = Annotated[
    Positive, Field(description="of loaded weights at the first step; biases take twice it")
]
Momentum = Annotated[
    float,
    Field(ge=0.0, lt=1.0, description="of SGD; 0.9 goes ten times as far per step as 0 does"),
    NotBool,
]
WeightDecay = Annotated[NonNegative, Field(description="L2 penalty of the weights; biases have none")]
NewLayerFactor = Annotated[Positive, Field(description="layers that start from nothing learn so much faster")]
Power = Annotated[NonNegative, Field(description="rate at step s of n: learning_rate * (1 - s / n)^power")]
ImageScales = Annotated[
    tuple[Positive, ...],
    Field(min_length=1, description="sizes at which an image is seen, scores averaged; work: sum of s^2"),
]
Alphas = Annotated[
    tuple[Positive, ...],
    Field(min_length=1, description="of the background by power"),
    AfterValidator(_distinct),
]
Constants = Annotated[
    tuple[Share, ...],
    Field(min_length=1, description="of the constant background"),
    AfterValidator(_distinct),
]
Betas = Annotated[
    tuple[Positive, ...],
    Field(min_length=1, description="a job for each and each shard; another one runs its own jobs alone"),
    AfterValidator(_distinct),
]
Ts = Annotated[
    tuple[Count, ...],
    Field(min_length=1, description="together they cost about as much as the largest"),
    AfterValidator(_distinct),
]
Flip = Annotated[bool, Field(description="see the mirror image too and average: twice the work")]
Refine = Annotated[
    Literal["none", "dense_crf"],
    Field(description="dense_crf: draw the scores to the image's edges, see that section"),
]
