"""AffinityNet: features whose differences tell whether two cells share a class (Ahn & Kwak, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from wsss.method.affinity import affinity_stencil
from wsss.method.neighbours import Border
from wsss.models.backbone import Backbone, Features, resize
from wsss.models.backbones import build_backbone
from wsss.models.checkpoints import Restored, read_network
from wsss.models.grid import GridNetwork, grid_of
from wsss.models.network import widened
from wsss.models.state import load_backbone
from wsss.study.config import AffinityNet as Section
from wsss.study.options import FeatureNormalization, NormalizationRate

#: Channels of the three reduced features, and the group counts of their optional GroupNorm.
WIDTHS = (64, 128, 256)
GROUPS = (8, 16, 32)


class AffinityNet(GridNetwork):
    """Three features → 1x1 convolutions to 64, 128 and 256 → ELU → 1x1 convolution of all 448 → ELU.

    The network comes apart at the features: ``forward(x) = stencil(affinity_features(features(x)))``.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        radius: int,
        border: Border,
        normalization: str,
        normalization_rate: NormalizationRate = "head",
    ) -> None:
        super().__init__(backbone, "affinity")
        if normalization not in (allowed := get_args(FeatureNormalization)):
            raise ValueError(f"normalization: got {normalization!r}, allowed {', '.join(allowed)}")
        self.radius = radius
        self.border = border
        self.normalization_rate = normalization_rate
        early, middle, last = backbone.channels
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

    def at_backbone_rate(self) -> frozenset[str]:
        """The GroupNorms, with `normalization_rate: backbone`."""
        if self.normalization_rate == "head":
            return frozenset()
        return frozenset(name for name, _ in self.named_parameters() if name.startswith("gn8_"))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the three features."""
        return self.backbone.channels

    def features(self, x: Tensor) -> Features:
        """Normalised images ``(B, 3, H, W)`` → three features, all ``(B, C, ⌈H / 8⌉, ⌈W / 8⌉)``.

        Features of another stride than 8 are resized bilinearly.
        """
        grid = grid_of(x)
        return Features(*(resize(feature, grid) for feature in self.backbone(x)))

    def affinity_features(self, features: Sequence[Tensor]) -> Tensor:
        """Features ``(B, C, h, w)``, of any float type, → affinity features ``(B, 448, h, w)``.

        They are float32, or float64 if the network is.
        """
        early, middle, last = (feature.to(self.f9.weight.dtype) for feature in features)
        reduced = (
            self.gn8_3(self.f8_3(early)),
            self.gn8_4(self.f8_4(middle)),
            self.gn8_5(self.f8_5(last)),
        )
        return widened(elu(self.f9(torch.cat([elu(feature) for feature in reduced], dim=1))))

    def stencil(self, affinity_features: Tensor) -> Tensor:
        """Affinity features ``(B, 448, h, w)`` → affinities ``(B, P, h, w)``, see `affinity_stencil`."""
        return affinity_stencil(affinity_features, self.radius, self.border)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → affinities ``(B, P, ⌈H / 8⌉, ⌈W / 8⌉)``, before power beta."""
        return self.stencil(self.affinity_features(self.features(x)))


def build_affinitynet(section: Section, weights: Mapping[str, Tensor] | None = None) -> AffinityNet:
    """Build the AffinityNet that the section ``affinitynet`` describes; it does not depend on the classes.

    Args:
        section: its backbone, output stride, radius, border, normalization and the rate of that.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an output stride that the backbone cannot have, or weights that do not fit.
    """
    backbone = load_backbone(build_backbone(section.backbone, section.output_stride), weights)
    return AffinityNet(
        backbone,
        radius=section.radius,
        border=section.border,
        normalization=section.normalization,
        normalization_rate=section.normalization_rate,
    )


def restore_affinitynet(path: Path | str) -> Restored[AffinityNet, Section]:
    """Read a trained AffinityNet, on the CPU and in evaluation mode; its section tells the input scale.

    Raises:
        ArtifactError: the file is damaged or holds another kind of network.
    """
    stored = read_network(path, AffinityNet, Section)
    return stored.restored(build_affinitynet(stored.section))
