"""What ResNet-18 and ResNet-50 of torchvision share as backbones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torchvision.models import ResNet

from wsss.models.backbone import Backbone, Part, feature_maps, set_output_stride


class ResNetBackbone(Backbone):
    """ResNet-18 or -50 (He et al., CVPR 2016) without its classifier: the stem, and layers 1 to 4."""

    def __init__(self, resnet: ResNet, facts: Mapping[str, Any], output_stride: int | None) -> None:
        super().__init__(feature_maps(facts, output_stride))
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            resnet.layer1,
            resnet.layer2,
            resnet.layer3,
            resnet.layer4,
        )
        set_output_stride(list(self.layer3), list(self.layer4), output_stride)

    @property
    def stages(self) -> list[list[Part]]:
        """The stem, then ``layer1`` … ``layer4``."""
        return [[self.conv1, self.bn1], [self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` → the stem before its pool, and the layers."""
        x = self.relu(self.bn1(self.conv1(x)))
        yield x
        x = self.maxpool(x)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            yield x
