"""DeepLabV3's head, of torchvision, for any backbone (Chen et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from wsss.models.backbone import FeatureMap
from wsss.models.head import LastMapHead, PooledBatchNorm2d, atrous_rates

FACTS = {"backbone": None}

HEAD_CHANNELS = 256


def build(name: str, maps: Sequence[FeatureMap], n_values: int, crop_size: int) -> nn.Module:
    """torchvision's ``DeepLabHead`` with as many channels as the backbone has, 256 at most."""
    last = maps[-1]
    channels = min(last.channels, HEAD_CHANNELS)
    aspp = ASPP(last.channels, atrous_rates(crop_size, last.stride), channels)
    aspp.convs[-1][2] = PooledBatchNorm2d(channels)
    return LastMapHead(
        aspp,
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, n_values, 1),
    )
