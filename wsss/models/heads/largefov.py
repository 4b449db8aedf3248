"""The head of DeepLab-LargeFOV (Chen et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from wsss.models.backbone import FeatureMap
from wsss.models.head import LastMapHead

FACTS = {"backbone": "vgg16"}


def build(name: str, maps: Sequence[FeatureMap], n_values: int, crop_size: int) -> nn.Module:
    """The last layer of DeepLab-LargeFOV; the large field of view is VGG16's ``fc6``."""
    return LastMapHead(nn.Dropout(0.5), nn.Conv2d(maps[-1].channels, n_values, 1))
