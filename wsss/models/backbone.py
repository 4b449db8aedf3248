"""What every backbone offers: feature maps from fine to coarse, stages, and freezing that lasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor, nn

from wsss.models.normalization import IMAGENET, Normalization
from wsss.study.options import BatchNormMode

#: The networks that a backbone can be built into.
Task = Literal["classifier", "affinity", "segmentation"]
#: What is frozen as a whole: a module, or a parameter that belongs to no smaller one, as tokens do.
Part = nn.Module | nn.Parameter


class Features(NamedTuple):
    """The last three feature maps of a batch, each ``(B, C, h, w)``, from fine to coarse."""

    early: Tensor
    middle: Tensor
    last: Tensor


@dataclass(frozen=True)
class FeatureMap:
    """Channels of a feature map, and its stride: pixels of the image per cell."""

    channels: int
    stride: int


def feature_maps(facts: Mapping[str, Any], output_stride: int | None) -> tuple[FeatureMap, ...]:
    """The feature maps that a module's `FACTS` list, where no stride exceeds ``output_stride``."""
    return tuple(
        FeatureMap(channels, min(stride, output_stride or stride))
        for channels, stride in zip(facts["channels"], facts["strides"], strict=True)
    )


class Backbone(nn.Module):
    """A feature extractor.

    ``pyramid(x)`` yields the feature maps of normalised images ``(B, 3, H, W)``, from fine to coarse: one of
    stride s has ``⌈H / s⌉ x ⌈W / s⌉`` cells. ``maps`` tells their channels and strides beforehand.
    ``forward(x)`` gives the last three. ``top(last)`` turns the last into what the classifier averages, of
    ``head_channels`` channels.
    """

    maps: tuple[FeatureMap, ...]
    head_channels: int
    normalization: Normalization = IMAGENET
    #: CAMs are ``relu(raw) ** cam_exponent``.
    cam_exponent: float = 1.0
    #: The networks built on this backbone name their parameters without the prefix ``backbone.``.
    flat_keys: bool = False
    #: Prefixes of layers that files of weights hold beside the backbone's own, and that are left out.
    left_out: tuple[str, ...] = ()

    def __init__(self, maps: Sequence[FeatureMap], head_channels: int | None = None) -> None:
        super().__init__()
        if len(maps) < len(Features._fields):
            raise ValueError(f"a backbone needs three feature maps or more, this one has {len(maps)}")
        self.maps = tuple(maps)
        self.head_channels = head_channels or maps[-1].channels
        self._frozen: list[Part] = []

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the three maps of `Features`."""
        return tuple(feature_map.channels for feature_map in self.maps[-len(Features._fields) :])

    @property
    def stages(self) -> list[list[Part]]:
        """The parts that hold parameters, grouped by stage, from the image upwards."""
        raise NotImplementedError

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the feature maps of normalised images ``(B, 3, H, W)``, as ``maps`` describes them."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Features:
        """Normalised images ``(B, 3, H, W)`` → the last three feature maps."""
        return Features(*deque(self.pyramid(x), maxlen=len(Features._fields)))

    def top(self, last: Tensor) -> Tensor:
        """Map the last features to those the classifier averages, ``(B, head_channels, h, w)``."""
        return last

    def fit_to(self, task: Task) -> None:
        """Adapt to the network that this backbone is built into; most have nothing to adapt."""

    def adapted(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename and resize a file's entries that do not fit as they are; most backbones cannot."""
        return state

    def no_weight_decay(self) -> frozenset[str]:
        """Names of parameters or modules that never decay, besides norms and biases, such as tokens."""
        return frozenset()

    def freeze(self, frozen_stages: int, batch_norm: str) -> None:
        """Keep the first stages, and with ``batch_norm="frozen"`` every batch norm, as they are.

        Their parameters take no gradient, and they stay in evaluation mode whatever ``train()`` says, so that
        running statistics, dropout and stochastic depth stand still too. A second call replaces the first.

        Raises:
            ValueError: if there are fewer stages, or ``batch_norm`` is neither "frozen" nor "trained".
        """
        if not 0 <= frozen_stages <= len(self.stages):
            raise ValueError(f"frozen_stages: got {frozen_stages}, allowed 0 … {len(self.stages)}")
        if batch_norm not in get_args(BatchNormMode):
            raise ValueError(f"batch_norm: got {batch_norm!r}, allowed 'frozen' or 'trained'")
        self._frozen = [part for stage in self.stages[:frozen_stages] for part in stage]
        if batch_norm == "frozen":
            self._frozen += [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        self.requires_grad_(True)
        for part in self._frozen:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, all but what `freeze` froze."""
        super().train(mode)
        for part in self._frozen:
            if isinstance(part, nn.Module):
                part.eval()
        return self


def replace_stride_with_dilation(stage: Sequence[nn.Module], dilation: int) -> None:
    """Let ``stage`` keep its input's resolution, which ``dilation`` already makes up for (à trous, in place).

    The strided convolutions lose their stride and keep ``dilation``; all spatial convolutions after them get
    twice as much, so that every output on the old, coarser grid stays exactly what it was.
    """
    convolutions = [m for block in stage for m in block.modules() if isinstance(m, nn.Conv2d)]
    for convolution in convolutions:
        strided = convolution.stride[0] > 1
        spread = dilation if strided else 2 * dilation
        convolution.stride = (1, 1)
        if convolution.kernel_size[0] > 1:
            convolution.dilation = (spread, spread)
            convolution.padding = (spread, spread)


def set_output_stride(
    middle: Sequence[nn.Module], last: Sequence[nn.Module], output_stride: int | None
) -> None:
    """Bring a network whose ``middle`` and ``last`` stages end at strides 16 and 32 to stride 8 or 16."""
    if output_stride == 8:
        replace_stride_with_dilation(middle, dilation=1)
        replace_stride_with_dilation(last, dilation=2)
    elif output_stride == 16:
        replace_stride_with_dilation(last, dilation=1)


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear ``(B, C, h, w)`` → ``(B, C, *size)``; returns ``features`` itself where the size fits."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return torch.nn.functional.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)
