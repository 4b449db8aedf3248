"""ResNet-18 of torchvision, without its classifier."""

from __future__ import annotations

from torch import Tensor
from torchvision.models import ResNet18_Weights, resnet18

from wsss.models.backbone import Backbone
from wsss.models.backbones.resnet import ResNetBackbone
from wsss.models.weights.torchvision import download

FACTS = {
    "output_strides": (8, 16, 32),
    "imagenet": True,
    "channels": (64, 64, 128, 256, 512),
    "strides": (2, 4, 8, 16, 32),
}


def build(name: str, output_stride: int | None) -> Backbone:
    """Build it with fresh weights."""
    return ResNetBackbone(resnet18(weights=None), FACTS, output_stride)


def imagenet(name: str) -> dict[str, Tensor]:
    """Fetch torchvision's weights, see `download`."""
    return download(ResNet18_Weights.IMAGENET1K_V1)
