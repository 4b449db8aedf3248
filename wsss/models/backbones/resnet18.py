"""ResNet-18 of torchvision, without its classifier."""

from __future__ import annotations

from torchvision.models import resnet18

from wsss.models.backbone import Backbone
from wsss.models.backbones.resnet import ResNetBackbone

FACTS = {"output_strides": (8, 16, 32), "imagenet": True}


def build(output_stride: int) -> Backbone:
    """Build it with fresh weights."""
    return ResNetBackbone(resnet18(weights=None), output_stride)
