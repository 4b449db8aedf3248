"""The segmentation networks that learn from pseudo masks (Ahn & Kwak, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn.functional import batch_norm

from wsss.models.backbone import Backbone, resize
from wsss.models.backbones.torchvision import build_backbone
from wsss.models.network import Network
from wsss.models.state import load_backbone

HEAD_CHANNELS = 256
#: DeepLabV3 reads 513 px crops with rates 6, 12, 18 at stride 16: the rates as shares of the crop.
RATE_SHARES = tuple(rate * 16 / 513 for rate in (6, 12, 18))


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm for 1x1 maps that takes the running statistics for a batch of one, which has no variance."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, 1, 1)`` → the same shape."""
        if self.training and x.numel() == x.shape[1]:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def atrous_rates(crop_size: int, output_stride: int) -> list[int]:
    """Dilations of DeepLabV3's three atrous convolutions, in cells, that fit crops of ``crop_size`` px.

    They span the same share of the crop as the published 6, 12, 18 do of 513 px at stride 16 (Chen et al.,
    2017, section 3.3). Wider ones would read little but the zero padding.
    """
    return [max(1, round(share * crop_size / output_stride)) for share in RATE_SHARES]


def deeplabv3_head(inputs: int, n_classes: int, rates: list[int]) -> nn.Sequential:
    """torchvision's ``DeepLabHead`` with as many channels as the backbone has, 256 at most."""
    from torchvision.models.segmentation.deeplabv3 import ASPP

    channels = min(inputs, HEAD_CHANNELS)
    aspp = ASPP(inputs, rates, channels)
    aspp.convs[-1][2] = PooledBatchNorm2d(channels)
    return nn.Sequential(
        aspp,
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, n_classes, 1),
    )


def largefov_head(inputs: int, n_classes: int) -> nn.Sequential:
    """The last layer of DeepLab-LargeFOV (Chen et al., 2015); the large field of view is VGG16's ``fc6``."""
    return nn.Sequential(nn.Dropout(0.5), nn.Conv2d(inputs, n_classes, 1))


def resnet38_head(inputs: int, n_classes: int) -> nn.Sequential:
    """ResNet38's own: two 3x3 convolutions of dilation 12 with 512 channels between (Wu et al., 2016)."""
    return nn.Sequential(
        nn.Conv2d(inputs, 512, 3, padding=12, dilation=12),
        nn.ReLU(inplace=True),
        nn.Conv2d(512, n_classes, 3, padding=12, dilation=12),
    )


#: Heads that belong to one backbone, by name: that backbone, and how to build the head.
OWN_HEADS: dict[str, tuple[str, Callable[[int, int], nn.Sequential]]] = {
    "largefov": ("vgg16", largefov_head),
    "resnet38": ("resnet38", resnet38_head),
}


class Segmenter(Network):
    """Backbone → head → logits, resized to the input."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__(backbone, "segmentation")
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits ``(B, n_classes, H, W)``, float32."""
        return resize(self.head(self.backbone(x).last).float(), x.shape[-2:])


def build_segmenter(
    name: str,
    n_classes: int,
    *,
    backbone: str,
    output_stride: int,
    crop_size: int = 513,
    weights: Mapping[str, Tensor] | None = None,
) -> Segmenter:
    """Build a segmentation network.

    Args:
        name: the head: "deeplabv3" on any backbone, "largefov" on vgg16, or "resnet38" on resnet38.
        n_classes: number of classes with the background, which is class 0.
        backbone: name of the backbone, see `build_backbone`.
        output_stride: stride of the backbone's last level in pixels.
        crop_size: side of the training crops in pixels, which decides `atrous_rates`; the same in testing.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an unknown name, backbone or stride, a head on the wrong backbone, or weights that do
            not fit.
    """
    if name != "deeplabv3" and name not in OWN_HEADS:
        raise ValueError(f"segmenter: got {name!r}, allowed deeplabv3, {', '.join(OWN_HEADS)}")
    if name in OWN_HEADS and OWN_HEADS[name][0] != backbone:
        raise ValueError(f"segmenter: {name} needs the backbone {OWN_HEADS[name][0]}, got {backbone}")
    loaded = load_backbone(build_backbone(backbone, output_stride), weights)
    inputs = loaded.channels["last"]
    if name in OWN_HEADS:
        return Segmenter(loaded, OWN_HEADS[name][1](inputs, n_classes))
    return Segmenter(loaded, deeplabv3_head(inputs, n_classes, atrous_rates(crop_size, output_stride)))
