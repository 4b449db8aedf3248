"""A residual network of 180 thousand parameters, for images of about 112 px, to be trained from scratch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsss.models.backbone import Backbone, Levels, set_output_stride

FACTS = {"output_strides": (8, 16, 32), "imagenet": False}


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
    """Two strided convolutions to stride 4, then one residual block per level.

    Receptive field at output stride 8: 31, 63 and 127 px for the three levels.
    """

    def __init__(self, output_stride: int) -> None:
        super().__init__()
        self.channels = {"early": 48, "middle": 64, "last": 64, "head": 64}
        self.stem = nn.Sequential(
            *convolution(3, 16, stride=2),
            nn.ReLU(inplace=True),
            *convolution(16, 32, stride=2),
            nn.ReLU(inplace=True),
        )
        self.early = ResidualBlock(32, self.channels["early"], stride=2)
        self.middle = ResidualBlock(self.channels["early"], self.channels["middle"], stride=2)
        self.last = ResidualBlock(self.channels["middle"], self.channels["last"], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        set_output_stride([self.middle], [self.last], output_stride)

    @property
    def stages(self) -> list[list[nn.Module]]:
        """``stem``, ``early``, ``middle``, ``last``."""
        return [[self.stem], [self.early], [self.middle], [self.last]]

    def forward(self, x: Tensor) -> Levels:
        """``(B, 3, H, W)`` → levels of 48, 64 and 64 channels."""
        early = self.early(self.stem(x))
        middle = self.middle(early)
        return Levels(early, middle, self.last(middle))


def build(output_stride: int) -> Backbone:
    """Build it with fresh weights."""
    return SmallBackbone(output_stride)
