"""Types of values that several sections share, each with the comment that explains it in `config.yaml`."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from wsss.study.options import BatchNormMode, Refinement


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    def idle(self) -> frozenset[str]:
        """Names of the keys without effect at the values of the others: changing them reruns nothing."""
        return frozenset()


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


Auto = Literal["auto"]
"""Instead of a number: it follows the photographs, see docs/settings.md."""

AUTO: Auto = "auto"

Number = TypeVar("Number", int, float)


def settled(value: Number | Auto) -> Number:
    """Return a number that may have said `auto` and has been settled since.

    Raises:
        ValueError: it still says `auto`: whoever reads it comes before it is settled.
    """
    if value == AUTO:
        raise ValueError("a value that says `auto` is read before it is settled")
    return value


def _usable_path(path: str) -> str:
    """Put the home folder in the place of `~`; refuse braces, which Snakemake would fill in."""
    if braces := set("{}") & set(path):
        raise ValueError(f"allowed paths without {' and '.join(sorted(braces))}, which Snakemake fills in")
    return os.path.expanduser(path)


# Last of the annotations with a constraint: those that follow it are lost to the JSON schema.
NotBool = BeforeValidator(_no_truth)

Int = Annotated[int, NotBool]
Float = Annotated[float, NotBool]
Natural = Annotated[int, Field(ge=0), NotBool]
Count = Annotated[int, Field(ge=1), NotBool]
NonNegative = Annotated[float, Field(ge=0.0), NotBool]
Positive = Annotated[float, Field(gt=0.0), NotBool]
Share = Annotated[float, Field(ge=0.0, le=1.0), NotBool]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0), NotBool]
Turns = Annotated[float, Field(ge=0.0, le=0.5), NotBool]
Text = Annotated[str, Field(min_length=1)]
PathText = Annotated[str, Field(min_length=1), AfterValidator(_usable_path)]

BatchNorm = Annotated[
    BatchNormMode,
    Field(description="frozen: keep the statistics and scales of the loaded weights"),
]
FrozenStages = Annotated[Natural, Field(description="number of first backbone stages that are not trained")]
Epochs = Annotated[
    Positive | Auto,
    Field(
        description="passes over train; steps = epochs * images / batch_size; auto: as many as good studies "
        "took steps, see docs/settings.md"
    ),
]
EpochsOrNone = Annotated[
    NonNegative | Auto,
    Field(
        description="passes over train; steps = epochs * images / batch_size; 0 skips training, so `weights` "
        "must be the path of a trained checkpoint; auto: as many as good studies took steps"
    ),
]
BatchSize = Annotated[Count, Field(description="images per step")]
_Crop = Annotated[int, Field(ge=32, multiple_of=8), NotBool]
CropSize = Annotated[_Crop, Field(description="side of the square crop in pixels, a multiple of 8")]
CropSizeOrAuto = Annotated[
    _Crop | Auto,
    Field(
        description="side of the square crop in pixels, a multiple of 8; auto: seven eighths of the longest "
        "side, see docs/settings.md"
    ),
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
ImageScales = Annotated[
    tuple[Positive, ...],
    Field(
        min_length=1, description="image sizes whose scores are averaged; work grows with the sum of squares"
    ),
]
Flip = Annotated[bool, Field(description="average with the mirror image: twice the work")]
Refine = Annotated[
    Refinement,
    Field(description="dense_crf: sharpen the scores at image edges, see section dense_crf"),
]
Radius = Annotated[int, Field(ge=2, description="reach of a pair in cells; 5: 34 pairs per cell"), NotBool]
InputScale = Annotated[
    float, Field(gt=0.0, description="image resize factor; a cell covers 8 / input_scale pixels"), NotBool
]
Alphas = Annotated[
    tuple[Positive, ...],
    Field(min_length=1, description="exponents of the power background"),
    AfterValidator(_distinct),
]
Constants = Annotated[
    tuple[Share, ...],
    Field(min_length=1, description="scores of the constant background"),
    AfterValidator(_distinct),
]
Betas = Annotated[
    tuple[Positive, ...],
    Field(min_length=1, description="one job per value and shard; a new value runs only its own jobs"),
    AfterValidator(_distinct),
]
InputScaleOrAuto = Annotated[
    Positive | Auto,
    Field(
        description="image resize factor; a cell covers 8 / input_scale pixels; auto: 64 cells along the "
        "longest side"
    ),
]
Ts = Annotated[
    tuple[Count, ...],
    Field(min_length=1, description="all together cost about as much as the largest"),
    AfterValidator(_distinct),
]
