"""A residual network of 180 thousand parameters, for images of about 112 px, to be trained from scratch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from wsss.models.backbone import Backbone, Part, feature_maps, set_output_stride

FACTS = {
    "output_strides": (8, 16, 32),
    "channels": (32, 48, 64, 64),
    "strides": (4, 8, 16, 32),
}


def convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, then batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where channels or stride change."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, stride=stride)
        self.second = convolution(outputs, outputs)
        plain = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if plain else convolution(inputs, outputs, kernel=1, stride=stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, outputs, h / stride, w / stride)``."""
        residual: Tensor = self.second(self.relu(self.first(x)))
        return torch.relu(residual + self.shortcut(x))


class SmallBackbone(Backbone):
    """Two strided convolutions to stride 4, then three residual blocks.

    Receptive field of the blocks at output stride 8: 31, 63 and 127 px.
    """

    def __init__(self, output_stride: int | None) -> None:
        super().__init__(feature_maps(FACTS, output_stride))
        stem, early, middle, last = FACTS["channels"]
        self.stem = nn.Sequential(
            *convolution(3, 16, stride=2),
            nn.ReLU(inplace=True),
            *convolution(16, stem, stride=2),
            nn.ReLU(inplace=True),
        )
        self.early = ResidualBlock(stem, early, stride=2)
        self.middle = ResidualBlock(early, middle, stride=2)
        self.last = ResidualBlock(middle, last, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        set_output_stride([self.middle], [self.last], output_stride)

    @property
    def stages(self) -> list[list[Part]]:
        """``stem``, ``early``, ``middle``, ``last``."""
        return [[self.stem], [self.early], [self.middle], [self.last]]

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` → the stem and the three blocks."""
        for part in (self.stem, self.early, self.middle, self.last):
            x = part(x)
            yield x


def build(name: str, output_stride: int | None) -> Backbone:
    """Build it with fresh weights."""
    return SmallBackbone(output_stride)
