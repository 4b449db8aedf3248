"""The segmentation networks that learn from pseudo masks (Ahn & Kwak, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from wsss.models.backbone import Backbone, resize
from wsss.models.backbones import build_backbone
from wsss.models.checkpoints import Restored, read_network
from wsss.models.folded import fold_batch_norms
from wsss.models.network import Network
from wsss.models.state import load_backbone
from wsss.study.config import Segmenter as Section
from wsss.study.config.fields import settled
from wsss.study.registry import head_facts


class Segmenter(Network):
    """Backbone → head → logits, resized to the input.

    The head takes what it needs of the backbone's pyramid, which it gets as an iterator from fine to coarse
    together with the height and width of the images.
    """

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__(backbone, "segmentation")
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits ``(B, n_classes, H, W)``, float32."""
        return resize(self.coarse(x), x.shape[-2:])

    def coarse(self, x: Tensor) -> Tensor:
        """Normalised images ``(B, 3, H, W)`` → logits ``(B, n_classes, h, w)`` of its cells, float32."""
        logits: Tensor = self.head(self.backbone.pyramid(x), x.shape[-2:])
        return logits.float()


def build_segmenter(
    section: Section, n_values: int, weights: Mapping[str, Tensor] | None = None
) -> Segmenter:
    """Build the segmentation network that the section ``segmenter`` describes.

    Args:
        section: its head, backbone and output stride; ``crop_size`` decides the rates of atrous heads, in
            training and in testing.
        n_values: number of mask values: the background, which is 0, and the classes.
        weights: state dict that holds the backbone's weights (see `backbone_state`); None: fresh ones.

    Raises:
        ValueError: for a head or an output stride that the backbone cannot have, or weights that do not fit.
    """
    facts = head_facts(section.head)
    if facts.backbone not in (None, section.backbone):
        raise ValueError(
            f"segmenter.head: {section.head} needs the backbone {facts.backbone}, got {section.backbone}"
        )
    backbone = load_backbone(build_backbone(section.backbone, section.output_stride), weights)
    head = import_module(facts.module).build(
        section.head, backbone.maps, n_values, settled(section.crop_size)
    )
    fold_batch_norms(head)
    return Segmenter(backbone, head)


def restore_segmenter(path: Path | str) -> Restored[Segmenter, Section]:
    """Read a trained segmentation network, on the CPU and in evaluation mode.

    Raises:
        ArtifactError: the file is damaged or holds another kind of network.
    """
    stored = read_network(path, Segmenter, Section)
    return stored.restored(build_segmenter(stored.section, 1 + len(stored.class_names)))
