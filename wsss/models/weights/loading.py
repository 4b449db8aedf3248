"""From the configuration's ``weights`` ("none", "imagenet" or a path) to the state dict of a backbone.

``wsss weights FILE BACKBONE`` reports which entries of a file are used, unused and missing.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, ResNet18_Weights, ResNet50_Weights, WeightsEnum

from wsss.models.backbones.torchvision import build_backbone
from wsss.models.state import PREFIX, backbone_state, state_problems
from wsss.models.weights.caffe import read_caffemodel
from wsss.models.weights.mxnet import read_params
from wsss.models.weights.names import resnet38_state, vgg16_state

logger = logging.getLogger(__name__)

IMAGENET_WEIGHTS: dict[str, WeightsEnum] = {
    "mobilenet_v2": MobileNet_V2_Weights.IMAGENET1K_V1,
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V1,
}
#: Keys under which checkpoints keep the network's state dict.
NESTED = ("model", "state_dict")


def resolve_weights(weights: str, backbone: str) -> dict[str, Tensor] | None:
    """Find the weights to start ``backbone`` from.

    Args:
        weights: "none"; "imagenet" for torchvision's own file, downloaded once and checked against its hash;
            or the path of a file: torchvision's, a bare backbone's, a published or our own checkpoint, whose
            heads are left out; a ``.params`` of MXNet for resnet38; a ``.caffemodel`` for vgg16.
        backbone: name of the backbone, see `wsss.models.build_backbone`.

    Returns:
        A state dict that fits the backbone, floating-point tensors as float32; None for "none".

    Raises:
        ValueError: if the file is missing, cannot be downloaded, is damaged, or does not fit the backbone.
    """
    if weights == "none":
        return None
    state = download_imagenet(backbone) if weights == "imagenet" else read_state(Path(weights))
    return fitting(state, backbone, weights)


def download_imagenet(backbone: str) -> dict[str, Tensor]:
    """Fetch torchvision's ImageNet weights, from its cache if they are there.

    Raises:
        ValueError: if there are none, or they cannot be had: the message says which file to put where.
    """
    if backbone not in IMAGENET_WEIGHTS:
        have = ", ".join(IMAGENET_WEIGHTS)
        raise ValueError(
            f"weights: imagenet: none to download for {backbone} (only for {have}); give a path or 'none'"
        )
    source = IMAGENET_WEIGHTS[backbone]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(source.url).path).name
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"weights: imagenet: cannot get {source.url} ({error}). Without a connection: download it "
            f"elsewhere and put it at {cached}, or set 'weights' to its path."
        ) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file: tensors, MXNet's ``.params`` or a ``.caffemodel``.

    Raises:
        ValueError: if the file is missing, damaged, or holds anything else.
    """
    if not path.is_file():
        raise ValueError(f"weights: {path}: no such file (allowed: 'none', 'imagenet' or a path)")
    if path.suffix == ".params":
        return _as_tensors(path, *resnet38_state(read_params(path)))
    if path.suffix == ".caffemodel":
        return _as_tensors(path, *vgg16_state(read_caffemodel(path)))
    return _read_tensors(path)


def load_finished(network: nn.Module, path: Path) -> None:
    """Load every weight of a network, those above its backbone too, from a published or own checkpoint.

    Raises:
        ValueError: listing every entry that is missing, unknown, or of another shape; nothing is loaded then.
    """
    state = read_state(path)
    if problems := state_problems(network, state):
        name = type(network).__name__
        raise ValueError(f"weights: {path} is no finished {name}:\n  " + "\n  ".join(problems))
    network.load_state_dict(state, strict=False)  # strict would ask for num_batches_tracked
    logger.info("weights: %s: all %d entries used", path, len(state))


def _as_tensors(path: Path, state: Mapping[str, np.ndarray], unused: Sequence[str]) -> dict[str, Tensor]:
    if unused:
        logger.info("weights: %s: not used: %s", path, ", ".join(unused))
    return {key: torch.from_numpy(np.array(array, np.float32)) for key, array in state.items()}


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Checkpoints keep their state dict under a key of its own; DataParallel puts "module." before names."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(f"weights: {path}: not a readable file of tensors: {error}") from error
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(map(_is_entry, content.items())):
        kind = type(content).__name__
        raise ValueError(f"weights: {path}: expected a state dict (names and tensors), found a {kind}")
    return {key.removeprefix("module."): value for key, value in content.items()}


def _is_entry(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def fitting(state: Mapping[str, Tensor], backbone: str, source: str) -> dict[str, Tensor]:
    """Take the backbone's entries of ``state`` as float32; ``source`` is what the error calls them.

    Raises:
        ValueError: listing every key that is missing, unknown, or of another shape.
    """
    weights = {
        key: value.float() if value.is_floating_point() else value
        for key, value in backbone_state(state).items()
    }
    with torch.device("meta"):
        expected = build_backbone(backbone, output_stride=8)
    if problems := state_problems(expected, weights):
        raise ValueError(f"weights: {source} does not fit {backbone}:\n  " + "\n  ".join(problems))
    unused = [key for key in state if key.removeprefix(PREFIX) not in weights]
    logger.info("weights: %s: %d entries used for %s", source, len(weights), backbone)
    if unused:
        logger.info("weights: %s: not used: %s", source, ", ".join(unused))
    return weights
