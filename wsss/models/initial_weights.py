"""From the configuration's ``weights`` ("none", "imagenet" or a path) to the state dict of a backbone.

`wsss weights check FILE BACKBONE` reports which entries of a file are used, unused and missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from wsss.models.backbone import Backbone
from wsss.models.backbones import build_backbone
from wsss.models.prefixes import below_prefixes, tails
from wsss.models.state import backbone_state, explained, state_problems
from wsss.models.weights.reading import read_state
from wsss.study.registry import backbone_facts, backbone_names

logger = logging.getLogger(__name__)


def resolve_weights(weights: str, backbone: str) -> dict[str, Tensor] | None:
    """Find the weights to start ``backbone`` from.

    Args:
        weights: "none"; "imagenet" for the file of torchvision or timm, downloaded once; or the path of a
            file: a library's, a bare backbone's, a published or our own checkpoint, whose heads are left out,
            as ``.pth`` or ``.safetensors``; a ``.params`` of MXNet for resnet38; a ``.caffemodel`` for vgg16.
        backbone: name of the backbone, see `wsss.models.backbones.build_backbone`.

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
    """Fetch a backbone's ImageNet weights, from the library's cache if they are there.

    Raises:
        ValueError: if there are none, or they cannot be had: the message says which file to put where.
    """
    facts = backbone_facts(backbone)
    if not facts.imagenet:
        have = ", ".join(name for name in backbone_names() if backbone_facts(name).imagenet)
        raise ValueError(
            f"weights: imagenet: none to download for {backbone} (only for {have}, timm/<name>); give a path "
            "or 'none'"
        )
    return dict(import_module(facts.module).imagenet(backbone))


def load_finished(network: nn.Module, path: Path) -> None:
    """Load every weight of a network, those above its backbone too, from a published or own checkpoint.

    Raises:
        ValueError: an entry is missing, unknown or of another shape; nothing is loaded then.
    """
    state = read_state(path)
    likely = (state, *below_prefixes(network.state_dict(), state))
    state = next((entries for entries in likely if not state_problems(network, entries)), state)
    if problems := explained(network, state):
        raise ValueError(f"weights: {path} is no finished {type(network).__name__}:\n  {problems}")
    network.load_state_dict(state, strict=False)  # strict would ask for num_batches_tracked
    logger.info("weights: %s: all %d entries used", path, len(state))


def fitting(
    state: Mapping[str, Tensor], backbone: str, source: str, *, in_full: bool = False
) -> dict[str, Tensor]:
    """Take the backbone's entries of ``state`` as float32; ``source`` is what the error calls them.

    Raises:
        ValueError: an entry is missing, unknown or of another shape; some are named, ``in_full`` all.
    """
    with torch.device("meta"):
        expected = build_backbone(backbone, backbone_facts(backbone).output_strides[0])
    tried: list[tuple[int, dict[str, Tensor]]] = []
    for entries in _candidates(expected, state):
        faults = sum(map(len, state_problems(expected, entries).values()))
        tried.append((faults, entries))
        if not faults:
            break
    faults, found = min(tried, key=lambda pair: pair[0])
    if faults:
        own = expected.state_dict().keys()
        shown = found if 2 * len(own & found.keys()) > len(own) else tried[0][1]
        problems = explained(expected, shown, in_full=in_full, found=state)
        raise ValueError(f"weights: {source} does not fit {backbone}:\n  {problems}")
    logger.info("weights: %s: %d entries used for %s", source, len(found), backbone)
    if unused := [key for key in state if found.keys().isdisjoint(tails(key))]:
        logger.info("weights: %s: not used: %s", source, ", ".join(unused))
    return {key: value.float() if value.is_floating_point() else value for key, value in found.items()}


def _candidates(backbone: Backbone, state: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield what may be the backbone's entries of a state dict: as it is, then below prefixes of wrappers."""
    yield backbone_state(backbone, state)
    yield backbone_state(backbone, backbone.adapted(state))
    own = backbone.state_dict().keys()
    parts = {key.partition(".")[0] for key in own}
    for entries in below_prefixes(own, state):
        for adapted in (entries, backbone.adapted(entries)):
            # Parts that the backbone does not have lie above it; unknown entries of its own parts count.
            yield {
                key: value
                for key, value in backbone_state(backbone, adapted).items()
                if key in own or key.partition(".")[0] in parts
            }
