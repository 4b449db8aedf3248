"""What several heads of the segmentation network share."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn.functional import batch_norm

#: DeepLabV3 reads 513 px crops with rates 6, 12, 18 at stride 16: the rates as shares of the crop.
RATE_SHARES = tuple(rate * 16 / 513 for rate in (6, 12, 18))


class LastMapHead(nn.Sequential):
    """Layers on the last feature map alone."""

    def forward(self, pyramid: Iterable[Tensor], size: Sequence[int]) -> Tensor:  # type: ignore[override]
        """Feature maps from fine to coarse → logits ``(B, n_values, h, w)`` on the grid of the last."""
        (x,) = deque(pyramid, maxlen=1)
        for layer in self:
            x = layer(x)
        return x


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm for 1x1 maps that takes the running statistics for a batch of one, which has no variance."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, 1, 1)`` → the same shape."""
        if self.training and x.numel() == x.shape[1]:
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def atrous_rates(crop_size: int, stride: int) -> list[int]:
    """Dilations of DeepLabV3's three atrous convolutions, in cells, that fit crops of ``crop_size`` px.

    They span the same share of the crop as the published 6, 12, 18 do of 513 px at stride 16 (Chen et al.,
    2017, section 3.3). Wider ones would read little but the zero padding.
    """
    return [max(1, round(share * crop_size / stride)) for share in RATE_SHARES]
