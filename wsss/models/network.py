"""What all networks have in common: a backbone, how its entries are named in a state dict, and the grid."""

from __future__ import annotations

from torch import Tensor, nn

from wsss.method.affinity import STRIDE, Border
from wsss.models.backbone import Backbone, Task
from wsss.models.state import PREFIX, hide_prefix


class Network(nn.Module):
    """A backbone, and above it the layers that a subclass adds.

    State dicts name the backbone's entries with the prefix ``backbone.``; those of networks on published
    backbones (``flat_keys``) do without, as the published files do.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, task: Task) -> None:
        super().__init__()
        self.backbone = backbone
        backbone.fit_to(task)
        if backbone.flat_keys:
            hide_prefix(self, PREFIX.removesuffix("."))


class GridNetwork(Network):
    """A network that learns from pairs of cells on the stride-8 grid.

    It comes apart at the features, which all lie on this grid. With a frozen backbone they are the same in
    every epoch and can be stored.
    """

    radius: int
    border: Border

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the features."""
        raise NotImplementedError

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Normalised images ``(B, 3, H, W)`` → features, all ``(B, C, ⌈H / 8⌉, ⌈W / 8⌉)``."""
        raise NotImplementedError


def grid_of(x: Tensor) -> tuple[int, int]:
    """Cells ``(⌈H / 8⌉, ⌈W / 8⌉)`` of images ``(B, 3, H, W)``."""
    height, width = x.shape[-2:]
    return -(-height // STRIDE), -(-width // STRIDE)
