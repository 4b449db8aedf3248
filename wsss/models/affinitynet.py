"""AffinityNet: features whose differences tell whether two cells share a class (Ahn & Kwak, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from wsss.method.affinity import Border, affinity_stencil
from wsss.models.backbone import Backbone, Levels, resize
from wsss.models.backbones.torchvision import build_backbone
from wsss.models.network import Network
from wsss.models.state import load_backbone

#: Channels of the three reduced levels, and the group counts of their optional GroupNorm.
WIDTHS = (64, 128, 256)
GROUPS = (8, 16, 32)
NORMALIZATIONS = ("none", "group")


class AffinityNet(Network):
    """Three backbone levels → 1x1 convolutions to 64, 128, 256 → ELU → 1x1 convolution of all 448 → ELU.

    The network comes apart at the levels: ``forward(x) = stencil(features_from(levels(x)))``. With a frozen
    backbone ``levels`` gives the same in every epoch and can be stored.
    """

    def __init__(self, backbone: Backbone, *, radius: int, border: Border, normalization: str) -> None:
        super().__init__(backbone, "affinity")
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization: got {normalization!r}, allowed {', '.join(NORMALIZATIONS)}")
        self.radius = radius
        self.border = border
        early, middle, last = (backbone.channels[level] for level in Levels._fields)
        self.f8_3 = nn.Conv2d(early, WIDTHS[0], 1, bias=False)
        self.f8_4 = nn.Conv2d(middle, WIDTHS[1], 1, bias=False)
        self.f8_5 = nn.Conv2d(last, WIDTHS[2], 1, bias=False)
        self.gn8_3, self.gn8_4, self.gn8_5 = (
            nn.GroupNorm(groups, width) if normalization == "group" else nn.Identity()
            for groups, width in zip(GROUPS, WIDTHS, strict=True)
        )
        self.f9 = nn.Conv2d(sum(WIDTHS), sum(WIDTHS), 1, bias=False)
        for convolution in (self.f8_3, self.f8_4, self.f8_5):
            nn.init.kaiming_normal_(convolution.weight)
        nn.init.xavier_uniform_(self.f9.weight, gain=4)

    def levels(self, x: Tensor) -> Levels:
        """Normalised images ``(B, 3, H, W)`` → three levels, all ``(B, C, ⌈H/8⌉, ⌈W/8⌉)``.

        Levels coarser than stride 8 are resized bilinearly.
        """
        early, middle, last = self.backbone(x)
        grid = early.shape[-2:]
        return Levels(early, resize(middle, grid), resize(last, grid))

    def features_from(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels ``(B, C, h, w)``, of any float type, → affinity features ``(B, 448, h, w)``, float32."""
        early, middle, last = (level.to(self.f9.weight.dtype) for level in levels)
        reduced = (
            self.gn8_3(self.f8_3(early)),
            self.gn8_4(self.f8_4(middle)),
            self.gn8_5(self.f8_5(last)),
        )
        return elu(self.f9(torch.cat([elu(level) for level in reduced], dim=1))).float()

    def stencil(self, features: Tensor) -> Tensor:
        """Affinity features ``(B, 448, h, w)`` → affinities ``(B, P, h, w)``, see `affinity_stencil`."""
        return affinity_stencil(features, self.radius, self.border)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → affinities ``(B, P, ⌈H/8⌉, ⌈W/8⌉)``, before the power beta."""
        return self.stencil(self.features_from(self.levels(x)))


def build_affinitynet(
    backbone: str,
    *,
    output_stride: int = 8,
    radius: int = 5,
    border: Border = "full",
    normalization: str = "none",
    weights: Mapping[str, Tensor] | None = None,
) -> AffinityNet:
    """Build an AffinityNet.

    Args:
        backbone: name of the backbone, see `build_backbone`.
        output_stride: stride of the backbone's last level in pixels; coarser levels than 8 are resized.
        radius: radius of the neighbourhood in stride-8 cells.
        border: "full" or "cropped", see `affinity_stencil`.
        normalization: "none", or "group" for a GroupNorm of 8, 16 and 32 groups on the reduced levels.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an unknown backbone, stride or normalization, or weights that do not fit.
    """
    loaded = load_backbone(build_backbone(backbone, output_stride), weights)
    return AffinityNet(loaded, radius=radius, border=border, normalization=normalization)
