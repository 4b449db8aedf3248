"""The classifier whose head is the CAM (Ahn & Kwak, section 3.1; Zhou et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from wsss.models.backbone import Backbone
from wsss.models.backbones.torchvision import build_backbone
from wsss.models.network import Network
from wsss.models.state import load_backbone


class Classifier(Network):
    """Backbone → dropout of whole channels → global average → 1x1 convolution ``fc8`` without bias.

    Because the head is linear and has no bias, the logit of a class is the mean of its CAM.
    """

    def __init__(self, backbone: Backbone, n_classes: int, dropout: float) -> None:
        super().__init__(backbone, "classifier")
        self.dropout = nn.Dropout2d(dropout)
        self.fc8 = nn.Conv2d(backbone.channels["head"], n_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.fc8.weight)

    def features(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → features ``(B, D, h, w)`` to average, h = ⌈H / stride⌉."""
        return self.backbone.top(self.backbone(x).last)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits ``(B, n_classes)``, float32."""
        average = self.dropout(self.features(x)).mean((-2, -1), keepdim=True)
        logits: Tensor = self.fc8(average)
        return logits.flatten(1).float()

    def cam(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → raw scores ``(B, n_classes, h, w)``, float32, before the ReLU.

        The class activation map is ``relu(raw) ** backbone.cam_exponent``.
        """
        scores: Tensor = self.fc8(self.features(x))
        return scores.float()


def build_classifier(
    backbone: str,
    n_classes: int,
    *,
    output_stride: int,
    dropout: float,
    weights: Mapping[str, Tensor] | None = None,
) -> Classifier:
    """Build a classifier.

    Args:
        backbone: name of the backbone, see `build_backbone`.
        n_classes: number of image-level classes, without background.
        output_stride: stride of the CAM in pixels.
        dropout: share of channels dropped before the average, [0, 1).
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for an unknown backbone or stride, or weights that do not fit.
    """
    return Classifier(load_backbone(build_backbone(backbone, output_stride), weights), n_classes, dropout)
