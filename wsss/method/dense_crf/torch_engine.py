"""The filter on any device, in PyTorch; the reference of the compiled one."""

from __future__ import annotations

from copy import copy
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.method.dense_crf.lattice import Embedding


class TorchLattice:
    """A `wsss.method.dense_crf.lattice.Lattice` on any device."""

    def __init__(self, embedding: Embedding) -> None:
        self.weights = embedding.weights
        found, self.vertices = embedding.keys.unique(return_inverse=True)
        wanted = found + torch.stack([embedding.steps, -embedding.steps], 1)[..., None]
        place = torch.searchsorted(found, wanted).clamp_(max=len(found) - 1)
        self.neighbours = place.where(found[place] == wanted, len(found))  # (d + 1, 2, M)

    def scaled(self, factors: Tensor) -> Self:
        """Multiply by factors before and after."""
        lattice = copy(self)
        lattice.weights = self.weights * factors[:, None]
        return lattice

    def __call__(self, values: Tensor) -> Tensor:
        """Filter."""
        spread = (self.weights[..., None] * values.T[:, None]).flatten(0, 1)
        nodes = values.new_zeros(self.neighbours.shape[2], len(values))
        nodes.index_add_(0, self.vertices.flatten(), spread)
        for one, other in self.neighbours:
            padded = F.pad(nodes, (0, 0, 0, 1))  # a row of zeros for neighbours that are missing
            nodes = nodes + 0.5 * (padded[one] + padded[other])
        return (self.weights[..., None] * nodes[self.vertices]).sum(1).T
