"""What a bundle says of itself in `model.json`: all that a trained network needs to be used by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from wsss.study.config import (
    AffinityNet,
    Classifier,
    ClassifierCams,
    DenseCrf,
    NetworkAffinities,
    RandomWalk,
    Segmentation,
    Segmenter,
)
from wsss.study.options import Precision

FORMAT: Literal["wsss bundle 1"] = "wsss bundle 1"
KINDS = ("classifier", "affinitynet", "segmenter")
"""Of networks."""

MOST_CLASSES = 254
"""Mask values 1 … 254; 0 is the background and 255 unknown."""

Colour = tuple[float, float, float]


class _Part(BaseModel):
    """Unknown keys are errors: they may change what the network does."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputNormalization(_Part):
    """How colours in [0, 1] become the network's input: (value - mean) / std, in its order of channels."""

    mean: Colour
    std: Annotated[Colour, Field(description="above 0")]
    bgr: bool

    @model_validator(mode="after")
    def _divides(self) -> InputNormalization:
        if min(self.std) <= 0:
            raise ValueError("std: allowed numbers > 0")
        return self


class Provenance(_Part):
    """What made a network.

    Attributes:
        study: name of the study.
        wsss: version of this package that trained it.
        code: digest of the code that trained it.
        inputs: digest of each file that the training read, by path.
        seed: of the random numbers.
        versions: of Python and the libraries, by name.
        training_images: number of images.
        training_images_of_class: how many of them have each label.
        corrected_masks: how many of them were trained on with a corrected mask.
        rounds: number of rounds of pseudo masks, see `wsss.study.inner`.
    """

    study: str
    wsss: str
    code: str
    inputs: dict[str, str]
    seed: int | None
    versions: dict[str, str]
    training_images: int
    training_images_of_class: dict[str, int]
    corrected_masks: int = 0
    rounds: int = 1


class _Bundle(_Part):
    format: Literal["wsss bundle 1"]
    class_names: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    value_names: tuple[str, ...]
    normalization: InputNormalization
    precision: Precision
    weights_digest: str
    provenance: Provenance

    @model_validator(mode="after")
    def _name_their_values(self) -> _Bundle:
        if self.value_names[1:] != self.class_names:
            raise ValueError("value_names: allowed the background's name and then class_names")
        return self


class ClassifierBundle(_Bundle):
    """A classifier, and the scales and mirror images of its CAMs."""

    network: Literal["classifier"] = "classifier"
    section: Classifier
    cams: ClassifierCams


class AffinityNetBundle(_Bundle):
    """An AffinityNet, and the random walk and dense CRF that turn its affinities and CAMs into masks."""

    network: Literal["affinitynet"] = "affinitynet"
    section: AffinityNet
    affinities: NetworkAffinities
    random_walk: RandomWalk
    dense_crf: DenseCrf | None


class SegmenterBundle(_Bundle):
    """A segmentation network, and the scales, mirror images and dense CRF of its predictions."""

    network: Literal["segmenter"] = "segmenter"
    section: Segmenter
    segmentation: Segmentation
    dense_crf: DenseCrf | None


Bundle = ClassifierBundle | AffinityNetBundle | SegmenterBundle
"""The content of `model.json`.

Attributes:
    format: of this file.
    network: the kind of network.
    section: the section of the configuration that it was trained with.
    class_names: the classes, without background, in the order of a classifier's outputs.
    value_names: names by mask value, background first.
    normalization: of its input.
    precision: in which it is computed.
    weights_digest: of the file of weights beside it, see `wsss.study.provenance.file_digest`.
    provenance: what made it.
"""

_BUNDLES: TypeAdapter[Bundle] = TypeAdapter(Annotated[Bundle, Field(discriminator="network")])


def parse_bundle(values: Any) -> Bundle:
    """Check the content of a `model.json`.

    Raises:
        ValueError: the first key that is wrong, with what was found.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"expected an object with keys, found {values!r:.80}")
    if values.get("format", FORMAT) != FORMAT:
        raise ValueError(f"format: found {values['format']!r}, expected {FORMAT!r}")
    try:
        return _BUNDLES.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    raise ValueError(_sentence(first["type"], first["loc"], first["msg"], first["input"]))


def _sentence(kind: str, place: Sequence[str | int], message: str, found: object) -> str:
    """Write one of pydantic's errors as this project writes its own."""
    where = ".".join(str(part) for part in place if part not in KINDS)
    if kind == "extra_forbidden":
        return f"{where}: an unknown key, which may change what the network does"
    if kind in ("missing", "union_tag_not_found"):
        return f"{where or 'network'}: missing"
    if kind == "union_tag_invalid" and isinstance(found, Mapping):
        return f"network: found {found.get('network')!r}, expected one of {', '.join(KINDS)}"
    if not isinstance(found, Mapping | list) or not place:
        message = f"{message}, found {found!r:.80}" if not isinstance(found, Mapping) else message
    said = message.removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
