"""IRNet: where classes meet, and where the objects' centres lie (Ahn, Cho & Kwak 2019, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss.method.neighbours import Border
from wsss.models.backbone import Backbone, Features, resize
from wsss.models.backbones import build_backbone
from wsss.models.checkpoints import Restored, read_network
from wsss.models.grid import GridNetwork, grid_of
from wsss.models.network import widened
from wsss.models.state import load_backbone
from wsss.study.config import IRNet as Section

#: Channels to which the boundary branch reduces each feature, and the groups of their GroupNorm.
BOUNDARY_WIDTH, BOUNDARY_GROUPS = 32, 4
#: The same of the displacement branch: its finer features, the three coarse ones, and what it makes of them.
FINE = ((64, 8), (128, 16))
COARSE = (256, 16)


def reduction(inputs: int, outputs: int, groups: int) -> nn.Sequential:
    """1x1 convolution without bias → GroupNorm → ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.GroupNorm(groups, outputs), nn.ReLU(inplace=True)
    )


class BoundaryBranch(nn.Module):
    """Each feature → 32 channels; all of them → 1x1 convolution to one."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.reduced = nn.ModuleList(reduction(width, BOUNDARY_WIDTH, BOUNDARY_GROUPS) for width in widths)
        self.last = nn.Conv2d(BOUNDARY_WIDTH * len(widths), 1, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features ``(B, C, h, w)`` → logits ``(B, h, w)``."""
        reduced = [reduce(feature) for reduce, feature in zip(self.reduced, features, strict=True)]
        logits: Tensor = self.last(torch.cat(reduced, dim=1))
        return logits.squeeze(1)


class DisplacementBranch(nn.Module):
    """The three coarsest features → 256 channels each → 256; with up to two finer ones → 256 → 2."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        coarse = len(Features._fields)
        fine = list(widths[:-coarse])[-len(FINE) :]
        sizes = FINE[len(FINE) - len(fine) :]
        self.fine = nn.ModuleList(reduction(width, *size) for width, size in zip(fine, sizes, strict=True))
        self.coarse = nn.ModuleList(reduction(width, *COARSE) for width in widths[-coarse:])
        self.merged = reduction(coarse * COARSE[0], *COARSE)
        self.last = nn.Sequential(
            reduction(COARSE[0] + sum(width for width, _ in sizes), *COARSE),
            nn.Conv2d(COARSE[0], 2, 1, bias=False),
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features ``(B, C, h, w)`` → displacements ``(B, 2, h, w)``, rows and columns in cells."""
        used = features[-len(self.fine) - len(self.coarse) :]
        fine, coarse = used[: len(self.fine)], used[len(self.fine) :]
        merged = self.merged(torch.cat([reduce(x) for reduce, x in zip(self.coarse, coarse, strict=True)], 1))
        finer = [reduce(x) for reduce, x in zip(self.fine, fine, strict=True)]
        displacements: Tensor = self.last(torch.cat([*finer, merged], dim=1))
        return displacements


class IRNet(GridNetwork):
    """All feature maps of a backbone → boundary branch, and in training → displacement branch.

    The published network has five maps of a ResNet-50 and works at stride 4. Here are those that the backbone
    has, from three on, on the stride-8 grid of AffinityNet. The backbone is the classifier's, whose frozen
    weights are to see what they were trained on.
    """

    border: Border = "full"

    def __init__(self, backbone: Backbone, *, radius: int, displacement: bool) -> None:
        super().__init__(backbone, "classifier")
        self.radius = radius
        self.boundary = BoundaryBranch(self.widths)
        self.displacement = DisplacementBranch(self.widths) if displacement else None

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of all of the backbone's maps, from fine to coarse."""
        return tuple(feature_map.channels for feature_map in self.backbone.maps)

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Normalised images ``(B, 3, H, W)`` → all features, ``(B, C, ⌈H / 8⌉, ⌈W / 8⌉)``.

        Finer features are averaged over a cell, coarser ones are resized bilinearly.
        """
        grid = grid_of(x)
        return tuple(on_grid(feature, grid) for feature in self.backbone.pyramid(x))

    def boundary_logits(self, features: Sequence[Tensor]) -> Tensor:
        """Features ``(B, C, h, w)``, of any float type → logits of the boundary ``(B, h, w)``, `widened`."""
        logits: Tensor = self.boundary(self._as_weights(features))
        return widened(logits)

    def displacements(self, features: Sequence[Tensor]) -> Tensor | None:
        """Features ``(B, C, h, w)``, of any float type → ``(B, 2, h, w)`` in cells, `widened`, if learned."""
        if self.displacement is None:
            return None
        displacements: Tensor = self.displacement(self._as_weights(features))
        return widened(displacements)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits of the boundary ``(B, ⌈H / 8⌉, ⌈W / 8⌉)``."""
        return self.boundary_logits(self.features(x))

    def _as_weights(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [feature.to(self.boundary.last.weight.dtype) for feature in features]


def on_grid(feature: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring a feature ``(B, C, h, w)`` to ``grid``: a mean over each cell if it is finer, else bilinear."""
    if feature.shape[-2] > grid[0] or feature.shape[-1] > grid[1]:
        return F.adaptive_avg_pool2d(feature, grid)
    return resize(feature, grid)


def build_irnet(section: Section, weights: Mapping[str, Tensor] | None = None) -> IRNet:
    """Build the IRNet that the section ``irnet`` describes; it does not depend on the classes.

    Args:
        section: its backbone, output stride, radius and displacement.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an output stride that the backbone cannot have, or weights that do not fit.
    """
    backbone = load_backbone(build_backbone(section.backbone, section.output_stride), weights)
    return IRNet(backbone, radius=section.radius, displacement=section.displacement)


def restore_irnet(path: Path | str) -> Restored[IRNet, Section]:
    """Read a trained IRNet, on the CPU and in evaluation mode; its section tells the input scale.

    Raises:
        ArtifactError: the file is damaged or holds another kind of network.
    """
    stored = read_network(path, IRNet, Section)
    return stored.restored(build_irnet(stored.section))
