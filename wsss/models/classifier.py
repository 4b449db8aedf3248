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


class Classifier(Network):
    """Backbone → dropout of whole channels → global average → 1x1 convolution ``fc8`` without bias.

    Because the head is linear and has no bias, the logit of a class is the mean of its CAM.
    """

    def __init__(self, backbone: Backbone, n_classes: int, dropout: float) -> None:
        super().__init__(backbone, "classifier")
        self.dropout = nn.Dropout2d(dropout)
        self.fc8 = nn.Conv2d(backbone.head_channels, n_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.fc8.weight)

    def features(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → features ``(B, D, h, w)`` to average, h = ⌈H / stride⌉."""
        return self.backbone.top(self.backbone(x).last)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits ``(B, n_classes)``, float32 or float64."""
        average = self.dropout(self.features(x)).mean((-2, -1), keepdim=True)
        logits: Tensor = self.fc8(average)
        return widened(logits.flatten(1))

    def cam(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → raw scores ``(B, n_classes, h, w)``, before the ReLU.

        They are float32, or float64 if the network is. The class activation map is
        ``relu(raw) ** backbone.cam_exponent``.
        """
        scores: Tensor = self.fc8(self.features(x))
        return widened(scores)


def build_classifier(
    section: Section, n_classes: int, weights: Mapping[str, Tensor] | None = None
) -> Classifier:
    """Build the classifier that the section ``classifier`` describes.

    Args:
        section: its backbone, output stride and dropout.
        n_classes: number of image-level classes, without background.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an output stride that the backbone cannot have, or weights that do not fit.
    """
    backbone = load_backbone(build_backbone(section.backbone, section.output_stride), weights)
    return Classifier(backbone, n_classes, section.dropout)


def restore_classifier(path: Path | str) -> Restored[Classifier, Section]:
    """Read a trained classifier, on the CPU and in evaluation mode.

    Raises:
        ArtifactError: the file is damaged or holds another kind of network.
    """
    stored = read_network(path, Classifier, Section)
    return stored.restored(build_classifier(stored.section, len(stored.class_names)))
