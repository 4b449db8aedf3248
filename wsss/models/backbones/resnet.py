"""What ResNet-18 and ResNet-50 of torchvision share as backbones."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import ResNet

from wsss.models.backbone import Backbone, Levels, set_output_stride


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
