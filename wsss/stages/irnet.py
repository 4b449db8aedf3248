"""Training IRNet on confident regions (Ahn, Cho & Kwak 2019, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from wsss.data import ImageRow
from wsss.method.affinity import (
    affinity_loss,
    boundary_stencil,
    displacement_losses,
    pair_counts,
    pair_targets,
)
from wsss.models.irnet import build_irnet
from wsss.runtime.processes import process_count, total
from wsss.stages.training.loop import Losses
from wsss.stages.training.pairs import LabelMaps, PairLosses, train_on_pairs
from wsss.stages.training.run import Run
from wsss.study.config import IRNet


def train_irnet(
    rows: Sequence[ImageRow],
    labels: LabelMaps,
    section: IRNet,
    run: Run,
    *,
    classifier: Path | None = None,
    pooled: bool = False,
) -> None:
    """Train IRNet on confident regions and write its checkpoint; see `train_on_pairs`."""
    train_on_pairs(build_irnet, IrnLoss, rows, labels, section, run, classifier=classifier, pooled=pooled)


class IrnLoss(PairLosses):
    """Both branches' losses, added as published (section 4.4).

    That of the boundary is AffinityNet's cross entropy of affinities that are 1 - the largest boundary on the
    path (section 4.3): background / 4 + foreground / 4 + different / 2. The two of the displacement (section
    4.2), which come only with that branch, count half each.
    """

    def losses(self, features: Sequence[Tensor], cells: Tensor) -> Losses:
        """Map the backbone's features (B, C, h, w) and labels (B, h, w) to the loss and its terms."""
        radius: int = self.network.radius
        targets = pair_targets(cells, radius, self.network.border)
        counts = total(pair_counts(targets))
        stencil = boundary_stencil(self.network.boundary_logits(features).sigmoid(), radius)
        loss, kinds = affinity_loss(stencil, targets, counts)
        terms = dict(zip(("background", "foreground", "different"), kinds, strict=True))
        displacements = self.network.displacements(features)
        if displacements is not None:
            foreground, background = displacement_losses(displacements, targets, radius, counts)
            terms |= {"displacement_foreground": foreground, "displacement_background": background}
            loss = loss + (foreground + background) / 2
        return {name: process_count() * value for name, value in {"loss": loss, **terms}.items()}
