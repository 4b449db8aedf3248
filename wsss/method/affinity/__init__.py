"""Semantic affinities between neighbouring cells (Ahn & Kwak 2018, section 3.2).

Affinities are symmetric, so a grid keeps one half: a *stencil* (P, H, W) whose entry [p, y, x] belongs to the
pair of its upper cell (y, x) and its lower cell (y, x) + offset p, with the P offsets of
`half_plane_offsets`. Where the lower cell falls outside the grid there is no pair, and the stencil is zero.
All lengths are in cells of the grid.
"""

from wsss.method.affinity.boundary import boundary_stencil
from wsss.method.affinity.displacement import displacement_losses
from wsss.method.affinity.loss import affinity_loss, pair_counts
from wsss.method.affinity.pairs import Kinds, half_plane_offsets, pair_targets, valid_pairs
from wsss.method.affinity.stencil import affinity_stencil
from wsss.method.affinity.truth import affinity_leak, oracle_stencil

__all__ = [
    "Kinds",
    "affinity_leak",
    "affinity_loss",
    "affinity_stencil",
    "boundary_stencil",
    "displacement_losses",
    "half_plane_offsets",
    "oracle_stencil",
    "pair_counts",
    "pair_targets",
    "valid_pairs",
]
