"""What the displacement field of IRN is trained to lower (Ahn, Cho & Kwak 2019, section 4.2)."""

from __future__ import annotations

from torch import Tensor

from wsss.method.affinity.loss import LOG_GUARD, pair_counts
from wsss.method.affinity.pairs import Kinds, half_plane_offsets, lower_cells


def displacement_losses(
    displacement: Tensor, targets: Kinds, radius: int = 5, counts: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compare the displacements of pairs with their offsets, L1 (section 4.2).

    A displacement leads from a cell to the centre of its object. Those of two cells of one object differ by
    the offset between the cells, because they end at one place. Background has no centre: there they are to
    be equal. The first loss takes every pair of one class for a pair of one object, as IRN does.

    Args:
        displacement: (B, 2, H, W), rows and columns in cells.
        targets: background, foreground, different: bool (B, P, H, W), see `pair_targets`.
        radius: in cells, that of the targets.
        counts: (3,), numbers of pairs that divide the sums, where this batch is a part of a larger one; by
            default those of this batch, `pair_counts`.

    Returns:
        foreground and background, scalars in cells: means over pairs, rows and columns; 0 without pairs.

    """
    values = displacement if displacement.element_size() == 8 else displacement.float()
    upper, lower = values.unsqueeze(2), lower_cells(values.flatten(0, 1), radius, 0)
    difference = upper - lower.unflatten(0, values.shape[:2])  # (B, 2, P, H, W)
    offsets = half_plane_offsets(radius).to(values).T[:, :, None, None]
    background, foreground, _ = (pair_counts(targets) if counts is None else counts).to(values.dtype)
    return (
        _mean((difference - offsets).abs(), targets[1], foreground),
        _mean(difference.abs(), targets[0], background),
    )


def _mean(errors: Tensor, pairs: Tensor, count: Tensor) -> Tensor:
    """Mean over some pairs (B, P, H, W) of errors (B, 2, P, H, W), which are two for each."""
    return errors.where(pairs.unsqueeze(1), 0.0).sum() / (2 * count + LOG_GUARD)
