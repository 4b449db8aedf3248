"""torchvision's classification networks as backbones, and the table of all backbones by name.

torchvision takes as long to import as PyTorch, so it is imported where a network is built: jobs that build
none start without.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from wsss.models.backbone import Backbone, Levels, set_output_stride
from wsss.models.backbones.resnet38 import ResNet38
from wsss.models.backbones.small import SmallBackbone
from wsss.models.backbones.vgg16 import VGG16

if TYPE_CHECKING:
    from torchvision.models import ResNet


class MobileNetV2Backbone(Backbone):
    """MobileNetV2 (Sandler et al., CVPR 2018) without its classifier; the levels are layers 6, 13 and 17."""

    def __init__(self, output_stride: int) -> None:
        from torchvision.models import mobilenet_v2

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


class ResNetBackbone(Backbone):
    """ResNet-18 or -50 (He et al., CVPR 2016) without its classifier; the levels are layers 2, 3 and 4."""

    def __init__(self, resnet: ResNet, output_stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            resnet.layer1,
            resnet.layer2,
            resnet.layer3,
            resnet.layer4,
        )
        width = resnet.fc.in_features
        self.channels = {"early": width // 4, "middle": width // 2, "last": width, "head": width}
        set_output_stride(list(self.layer3), list(self.layer4), output_stride)

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The stem, then ``layer1`` … ``layer4``."""
        return [[self.conv1, self.bn1], [self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def forward(self, x: Tensor) -> Levels:
        """``(B, 3, H, W)`` → levels of a quarter, a half and all of the last layer's channels."""
        stem = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        early = self.layer2(self.layer1(stem))
        middle = self.layer3(early)
        return Levels(early, middle, self.layer4(middle))


def _resnet18(output_stride: int) -> Backbone:
    from torchvision.models import resnet18

    return ResNetBackbone(resnet18(weights=None), output_stride)


def _resnet50(output_stride: int) -> Backbone:
    from torchvision.models import resnet50

    return ResNetBackbone(resnet50(weights=None), output_stride)


BACKBONES: dict[str, Callable[[int], Backbone]] = {
    "small": SmallBackbone,
    "mobilenet_v2": MobileNetV2Backbone,
    "resnet18": _resnet18,
    "resnet50": _resnet50,
    "resnet38": ResNet38,
    "vgg16": VGG16,
}


def build_backbone(name: str, output_stride: int) -> Backbone:
    """Build a backbone with fresh weights.

    Args:
        name: one of `BACKBONES`.
        output_stride: stride of the last level in pixels: 8, 16 or 32. What the stages lose in stride they
            gain in dilation.

    Raises:
        ValueError: if the name or the stride is not among these.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone: got {name!r}, allowed {', '.join(BACKBONES)}")
    return BACKBONES[name](output_stride)
