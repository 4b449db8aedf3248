"""MobileNetV2 of torchvision, without its classifier."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from wsss.models.backbone import Backbone, Part, feature_maps, set_output_stride
from wsss.models.clipped import clip_in_place
from wsss.models.weights.torchvision import download

FACTS = {
    "output_strides": (8, 16, 32),
    "imagenet": True,
    "channels": (16, 24, 32, 96, 320),
    "strides": (2, 4, 8, 16, 32),
}

#: Where the layers of each stride of the original begin, then the layer that the classifier averages.
BOUNDS = (0, 2, 4, 7, 14, 18)
HEAD_CHANNELS = 1280


class MobileNetV2Backbone(Backbone):
    """MobileNetV2 (Sandler et al., CVPR 2018) without its classifier; the maps are layers 1, 3, 6, 13, 17."""

    def __init__(self, output_stride: int | None) -> None:
        super().__init__(feature_maps(FACTS, output_stride), HEAD_CHANNELS)
        self.features = mobilenet_v2(weights=None).features
        set_output_stride(list(self.features[7:14]), list(self.features[14:18]), output_stride)
        clip_in_place(self.features)

    @property
    def stages(self) -> list[list[Part]]:
        """Layers 0-1, 2-3, 4-6, 7-13, 14-17 (one stage per stride of the original), 18."""
        return [list(self.features[a:b]) for a, b in pairwise((*BOUNDS, len(self.features)))]

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` → the last layer of each stride of the original."""
        for start, end in pairwise(BOUNDS):
            x = self.features[start:end](x)
            yield x

    def top(self, last: Tensor) -> Tensor:
        """Layer 18, a 1x1 convolution to 1280 channels."""
        top: Tensor = self.features[18](last)
        return top


def build(name: str, output_stride: int | None) -> Backbone:
    """Build it with fresh weights."""
    return MobileNetV2Backbone(output_stride)


def imagenet(name: str) -> dict[str, Tensor]:
    """Fetch torchvision's weights, see `download`."""
    return download(MobileNet_V2_Weights.IMAGENET1K_V1)
