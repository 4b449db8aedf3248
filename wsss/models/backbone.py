"""What every backbone offers: three feature levels, its stages, and freezing that survives ``train()``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

OUTPUT_STRIDES = (8, 16, 32)
#: The networks that a backbone can be built into.
Task = Literal["classifier", "affinity", "segmentation"]


class Levels(NamedTuple):
    """Three feature maps of a batch, each ``(B, C, h, w)``; ``early`` always lies on the stride-8 grid."""

    early: Tensor
    middle: Tensor
    last: Tensor


@dataclass(frozen=True)
class Normalization:
    """How a network wants its input.

    ``mean`` and ``std`` are per channel, on the [0, 1] scale, in the network's channel order.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __call__(self, image: Tensor) -> Tensor:
        """Normalise RGB images ``(..., 3, H, W)``, float in [0, 1]."""
        if self.bgr:
            image = image.flip(-3)
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (image - mean) / std


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Backbone(nn.Module):
    """A feature extractor.

    ``forward(x)`` maps normalised images ``(B, 3, H, W)`` to `Levels`; ``top(last)`` maps the last level to
    what the classifier averages. ``channels`` counts the channels of ``early``, ``middle``, ``last`` and
    ``head`` (the output of ``top``). ``early`` has stride 8, ``last`` has ``output_stride``, ``middle`` the
    smaller of ``output_stride`` and 16.
    """

    channels: dict[str, int]
    normalization: Normalization = IMAGENET
    #: CAMs are ``relu(raw) ** cam_exponent``.
    cam_exponent: float = 1.0
    #: The networks built on this backbone name their parameters without the prefix ``backbone.``.
    flat_keys: bool = False

    def __init__(self) -> None:
        super().__init__()
        self._frozen: list[nn.Module] = []

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The modules that hold parameters, grouped by stage, from the image upwards."""
        raise NotImplementedError

    def top(self, last: Tensor) -> Tensor:
        """Map the last level to the features the classifier averages, ``(B, channels["head"], h, w)``."""
        return last

    def fit_to(self, task: Task) -> None:
        """Adapt to the network that this backbone is built into; most have nothing to adapt."""

    def freeze(self, frozen_stages: int, batch_norm: str) -> None:
        """Keep the first stages, and with ``batch_norm="frozen"`` every batch norm, as they are.

        Their parameters take no gradient, and they stay in evaluation mode whatever ``train()`` says, so that
        running statistics and dropout stand still too. Calling it again replaces the former choice.

        Raises:
            ValueError: if there are fewer stages, or ``batch_norm`` is neither "frozen" nor "trained".
        """
        if not 0 <= frozen_stages <= len(self.stages):
            raise ValueError(f"frozen_stages: got {frozen_stages}, allowed 0 … {len(self.stages)}")
        if batch_norm not in ("frozen", "trained"):
            raise ValueError(f"batch_norm: got {batch_norm!r}, allowed 'frozen' or 'trained'")
        self._frozen = [module for stage in self.stages[:frozen_stages] for module in stage]
        if batch_norm == "frozen":
            self._frozen += [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        self.requires_grad_(True)
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training mode, all but what `freeze` froze."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self


def require_stride_8(name: str, output_stride: int) -> None:
    """Refuse any other output stride for the published networks, which have only this one.

    Raises:
        ValueError: if ``output_stride`` is not 8.
    """
    if output_stride != 8:
        raise ValueError(f"output_stride: got {output_stride}, allowed 8 for {name}")


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


def set_output_stride(middle: Sequence[nn.Module], last: Sequence[nn.Module], output_stride: int) -> None:
    """Bring a network whose ``middle`` and ``last`` stages end at strides 16 and 32 to ``output_stride``.

    Raises:
        ValueError: if ``output_stride`` is none of 8, 16, 32.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride: got {output_stride}, allowed {', '.join(map(str, OUTPUT_STRIDES))}")
    if output_stride == 8:
        replace_stride_with_dilation(middle, dilation=1)
        replace_stride_with_dilation(last, dilation=2)
    elif output_stride == 16:
        replace_stride_with_dilation(last, dilation=1)


def resize(level: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear ``(B, C, h, w)`` → ``(B, C, *size)``; returns ``level`` itself where the size fits."""
    if tuple(level.shape[-2:]) == tuple(size):
        return level
    return torch.nn.functional.interpolate(level, size=tuple(size), mode="bilinear", align_corners=False)
