"""Checkpoints of the three networks: weights, the configuration that built them, and the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from wsss.models.affinitynet import AffinityNet, build_affinitynet
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.network import Network
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.results import ArtifactError, load_checkpoint, save_checkpoint

Weights = Mapping[str, Tensor] | None
Settings = Mapping[str, Any]


def classifier_of(config: Settings, n_classes: int, weights: Weights = None) -> Classifier:
    """Build the classifier that the section ``classifier`` describes."""
    return build_classifier(
        config["backbone"],
        n_classes,
        output_stride=config["output_stride"],
        dropout=config["dropout"],
        weights=weights,
    )


def affinitynet_of(config: Settings, n_classes: int, weights: Weights = None) -> AffinityNet:
    """Build the AffinityNet that the section ``affinitynet`` describes; it does not depend on the classes."""
    return build_affinitynet(
        config["backbone"],
        output_stride=config["output_stride"],
        radius=config["radius"],
        border=config["border"],
        normalization=config["normalization"],
        weights=weights,
    )


def segmenter_of(config: Settings, n_classes: int, weights: Weights = None) -> Segmenter:
    """Build the segmentation network that the section ``segmenter`` describes, for background and classes."""
    return build_segmenter(
        config["name"],
        n_classes + 1,
        backbone=config["backbone"],
        output_stride=config["output_stride"],
        crop_size=config["crop_size"],
        weights=weights,
    )


_BUILDERS: dict[str, Callable[[Settings, int], Network]] = {
    "Classifier": classifier_of,
    "AffinityNet": affinitynet_of,
    "Segmenter": segmenter_of,
}


def save_network(path: Path, network: Network, config: Settings, classes: Sequence[str]) -> None:
    """Write what `restore_classifier` and its siblings read."""
    save_checkpoint(
        path,
        {
            "network": type(network).__name__,
            "state_dict": network.state_dict(),
            "config": dict(config),
            "classes": list(classes),
        },
    )


def restore_classifier(path: Path | str) -> Classifier:
    """Read a trained classifier, on the CPU and in evaluation mode.

    Raises:
        ArtifactError: The file is damaged or holds another kind of network.
    """
    return cast(Classifier, _restore(path, "Classifier"))


def restore_affinitynet(path: Path | str) -> AffinityNet:
    """Read a trained AffinityNet, like `restore_classifier`."""
    return cast(AffinityNet, _restore(path, "AffinityNet"))


def restore_segmenter(path: Path | str) -> Segmenter:
    """Read a trained segmentation network, like `restore_classifier`."""
    return cast(Segmenter, _restore(path, "Segmenter"))


def _restore(path: Path | str, kind: str) -> Network:
    content = load_checkpoint(path)
    if content.get("network") != kind:
        raise ArtifactError(f"{path}: holds {content.get('network', 'no network')}, expected {kind}")
    network = _BUILDERS[kind](content["config"], len(content["classes"]))
    network.load_state_dict(content["state_dict"])
    return network.eval()
