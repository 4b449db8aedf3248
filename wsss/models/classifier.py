"""The classifier whose head is the CAM (Ahn & Kwak, section 3.1; Zhou et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from wsss.models.backbone import Backbone
from wsss.models.backbones import build_backbone
from wsss.models.checkpoints import Restored, read_network
from wsss.models.network import Network, widened
from wsss.models.state import load_backbone
from wsss.study.config import Classifier as Section
from wsss.study.options import CamWeights


class Classifier(Network):
    """Backbone → dropout of whole channels → global average → 1x1 convolution ``fc8`` without bias.

    Because the head is linear and has no bias, the logit of a class is the mean of its CAM. Beside it there
    may be a second head ``refit`` of the same shape, which learns to tell the labels apart and gives CAMs of
    its own (see `wsss.method.refit`).
    """

    def __init__(self, backbone: Backbone, n_classes: int, dropout: float, *, refit: bool = False) -> None:
        super().__init__(backbone, "classifier")
        self.dropout = nn.Dropout2d(dropout)
        self.fc8 = _head(backbone, n_classes)
        self.refit = _head(backbone, n_classes) if refit else None

    def features(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → features ``(B, D, h, w)`` to average, h = ⌈H / stride⌉."""
        return self.backbone.top(self.backbone(x).last)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits ``(B, n_classes)``, float32 or float64."""
        return self.logits(self.features(x))

    def logits(self, features: Tensor) -> Tensor:
        """Features ``(B, D, h, w)`` → logits ``(B, n_classes)``, float32 or float64."""
        average = self.dropout(features).mean((-2, -1), keepdim=True)
        logits: Tensor = self.fc8(average)
        return widened(logits.flatten(1))

    def cam(self, x: Tensor, weights: CamWeights = "classifier") -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → raw scores ``(B, n_classes, h, w)``, before the ReLU.

        They are float32, or float64 if the network is, and of the head or of the second head. The class
        activation map is ``relu(raw) ** backbone.cam_exponent``.
        """
        scores: Tensor = self.head(weights)(self.features(x))
        return widened(scores)

    def head(self, weights: CamWeights) -> nn.Conv2d:
        """The head with these weights.

        Raises:
            ValueError: for ``refit``, of a network without it.
        """
        if weights == "classifier":
            return self.fc8
        if self.refit is None:
            raise ValueError("the classifier has no refitted weights: it was trained with `refit: 0`")
        return self.refit


def _head(backbone: Backbone, n_classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(backbone.head_channels, n_classes, 1, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def build_classifier(
    section: Section, n_classes: int, weights: Mapping[str, Tensor] | None = None
) -> Classifier:
    """Build the classifier that the section ``classifier`` describes.

    Args:
        section: its backbone, output stride, dropout, and whether it has a second head.
        n_classes: number of image-level classes, without background.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an output stride that the backbone cannot have, or weights that do not fit.
    """
    backbone = load_backbone(build_backbone(section.backbone, section.output_stride), weights)
    return Classifier(backbone, n_classes, section.dropout, refit=section.refit > 0)


def restore_classifier(path: Path | str) -> Restored[Classifier, Section]:
    """Read a trained classifier, on the CPU and in evaluation mode.

    Raises:
        ArtifactError: the file is damaged or holds another kind of network.
    """
    stored = read_network(path, Classifier, Section)
    return stored.restored(build_classifier(stored.section, len(stored.class_names)))
