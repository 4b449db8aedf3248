"""ResNet38's own head (Wu et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from wsss.models.backbone import FeatureMap
from wsss.models.head import LastMapHead

FACTS = {"backbone": "resnet38"}


def build(name: str, maps: Sequence[FeatureMap], n_values: int, crop_size: int) -> nn.Module:
    """Two 3x3 convolutions of dilation 12 with 512 channels between."""
    return LastMapHead(
        nn.Conv2d(maps[-1].channels, 512, 3, padding=12, dilation=12),
        nn.ReLU(inplace=True),
        nn.Conv2d(512, n_values, 3, padding=12, dilation=12),
    )
