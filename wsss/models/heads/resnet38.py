"""ResNet38's own head (Wu et al., 2016)."""

from __future__ import annotations

from torch import nn

FACTS = {"backbone": "resnet38"}


def resnet38_head(inputs: int, n_classes: int) -> nn.Sequential:
    """ResNet38's own: two 3x3 convolutions of dilation 12 with 512 channels between (Wu et al., 2016)."""
    return nn.Sequential(
        nn.Conv2d(inputs, 512, 3, padding=12, dilation=12),
        nn.ReLU(inplace=True),
        nn.Conv2d(512, n_classes, 3, padding=12, dilation=12),
    )
