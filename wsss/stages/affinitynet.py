"""Training AffinityNet on confident regions (Ahn & Kwak 2018, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from wsss.data import ImageRow
from wsss.method.affinity import affinity_loss, pair_counts, pair_targets
from wsss.models.affinitynet import build_affinitynet
from wsss.runtime.processes import process_count, total
from wsss.stages.training.loop import Losses
from wsss.stages.training.pairs import LabelMaps, PairLosses, train_on_pairs
from wsss.stages.training.run import Run
from wsss.study.config import AffinityNet


def train_affinitynet(
    rows: Sequence[ImageRow],
    labels: LabelMaps,
    section: AffinityNet,
    run: Run,
    *,
    classifier: Path | None = None,
    pooled: bool = False,
) -> None:
    """Train AffinityNet on confident regions and write its checkpoint; see `train_on_pairs`."""
    train_on_pairs(
        build_affinitynet, AffinityLoss, rows, labels, section, run, classifier=classifier, pooled=pooled
    )


class AffinityLoss(PairLosses):
    """Cross entropy of the affinities, each kind of pair averaged by itself."""

    def losses(self, features: Sequence[Tensor], cells: Tensor) -> Losses:
        """Map three features (B, C, h, w) and labels (B, h, w) to the loss and its terms."""
        stencil = self.network.stencil(self.network.affinity_features(features))
        targets = pair_targets(cells, self.network.radius, self.network.border)
        loss, kinds = affinity_loss(stencil, targets, total(pair_counts(targets)))
        terms = dict(zip(("background", "foreground", "different"), kinds, strict=True))
        return {name: process_count() * value for name, value in {"loss": loss, **terms}.items()}
