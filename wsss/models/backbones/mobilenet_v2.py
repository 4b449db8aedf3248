"""MobileNetV2 of torchvision, without its classifier."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from wsss.models.backbone import Backbone, Levels, set_output_stride

FACTS = {"output_strides": (8, 16, 32), "imagenet": True}


class MobileNetV2Backbone(Backbone):
    """MobileNetV2 (Sandler et al., CVPR 2018) without its classifier; the levels are layers 6, 13 and 17."""

    def __init__(self, output_stride: int) -> None:
        super().__init__()
        self.channels = {"early": 32, "middle": 96, "last": 320, "head": 1280}
        self.features = mobilenet_v2(weights=None).features
        set_output_stride(list(self.features[7:14]), list(self.features[14:18]), output_stride)

    @property
    def stages(self) -> list[list[nn.Module]]:
        """Layers 0-1, 2-3, 4-6, 7-13, 14-17 (one stage per stride of the original), 18."""
        bounds = (0, 2, 4, 7, 14, 18, 19)
        return [list(self.features[a:b]) for a, b in pairwise(bounds)]

    def forward(self, x: Tensor) -> Levels:
        """``(B, 3, H, W)`` → levels of 32, 96 and 320 channels."""
        early = self.features[:7](x)
        middle = self.features[7:14](early)
        return Levels(early, middle, self.features[14:18](middle))

    def top(self, last: Tensor) -> Tensor:
        """Layer 18, a 1x1 convolution to 1280 channels."""
        top: Tensor = self.features[18](last)
        return top


def build(output_stride: int) -> Backbone:
    """Build it with fresh weights."""
    return MobileNetV2Backbone(output_stride)
