"""DeepLabV3's head, of torchvision, for any backbone (Chen et al., 2017)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torchvision.models.segmentation.deeplabv3 import ASPP

FACTS = {"backbone": None}

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
