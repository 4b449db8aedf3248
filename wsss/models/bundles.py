"""From a bundle to its network, and from a trained network to what its bundle says of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from torch import nn

from wsss.models.affinitynet import AffinityNet, build_affinitynet
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.network import Network
from wsss.models.normalization import Normalization
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.models.state import explained
from wsss.results import ArtifactError
from wsss.results.bundles import WEIGHTS, read_bundle
from wsss.study.bundle import (
    AffinityNetBundle,
    Bundle,
    ClassifierBundle,
    InputNormalization,
    SegmenterBundle,
)

AnyNetwork = Classifier | AffinityNet | Segmenter


def restore_bundle(folder: str | Path) -> tuple[AnyNetwork, Bundle]:
    """Read a bundle's network, on the CPU and in evaluation mode, and what the bundle says of it.

    Raises:
        ArtifactError: a file is missing, damaged or from elsewhere, or the weights do not fit the network.
    """
    bundle, state = read_bundle(folder)
    try:
        network = _built(bundle)
    except ValueError as error:
        raise ArtifactError(f"{folder}: {error}") from error
    if problems := explained(network, state):
        raise ArtifactError(f"{Path(folder, WEIGHTS)}: does not fit the network:\n  {problems}")
    network.load_state_dict(state, strict=False)  # strict would ask for num_batches_tracked
    normalization = bundle.normalization
    network.backbone.normalization = Normalization(normalization.mean, normalization.std, normalization.bgr)
    return network.eval(), bundle


def _built(bundle: Bundle) -> AnyNetwork:
    match bundle:
        case ClassifierBundle():
            return build_classifier(bundle.section, len(bundle.class_names))
        case AffinityNetBundle():
            return build_affinitynet(bundle.section)
        case SegmenterBundle():
            return build_segmenter(bundle.section, len(bundle.value_names))


def input_normalization(network: Network) -> InputNormalization:
    """Say how a network's input is normalised."""
    return InputNormalization(**asdict(network.backbone.normalization))


def parameter_count(network: nn.Module) -> int:
    """Count the numbers that training may change."""
    return sum(parameter.numel() for parameter in network.parameters())
