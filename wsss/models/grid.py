"""What networks on the stride-8 grid have in common, AffinityNet and IRNet."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wsss.method.neighbours import STRIDE, Border
from wsss.models.network import Network


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
    return grid_of_size(x.shape[-2:])


def grid_of_size(size: Sequence[int]) -> tuple[int, int]:
    """Cells ``(⌈H / 8⌉, ⌈W / 8⌉)`` of an image of ``(H, W)`` pixels."""
    height, width = size
    return -(-height // STRIDE), -(-width // STRIDE)
