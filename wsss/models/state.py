"""State dicts: taking a backbone out of a network's, and checking before loading."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from wsss.models.backbone import Backbone

PREFIX = "backbone."
COUNTER = "num_batches_tracked"
#: First words of parameters that lie above the backbone, here, in torchvision and in the published networks.
HEADS = ("classifier.", "fc.", "fc8.", "f8_", "gn8_", "f9.", "head.")


def backbone_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the backbone's entries out of the state dict of a network: ours, torchvision's or a published."""
    if any(key.startswith(PREFIX) for key in state):
        return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
    return {key: value for key, value in state.items() if not key.startswith(HEADS)}


def state_problems(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """List the keys that ``module`` misses in ``state``, those it does not know, and those of another shape.

    ``num_batches_tracked`` does not count: old files lack it, and nothing here uses it.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in state and not key.endswith(COUNTER)]
    unknown = [key for key in state if key not in own and not key.endswith(COUNTER)]
    reshaped = [
        f"{key}: got {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    return (
        [f"missing {key} {tuple(own[key].shape)}" for key in missing]
        + [f"unknown {key} {tuple(state[key].shape)}" for key in unknown]
        + reshaped
    )


def load_backbone(backbone: Backbone, state: Mapping[str, Tensor] | None) -> Backbone:
    """Load the backbone's part of ``state`` (see `backbone_state`), if any, and return ``backbone``.

    Raises:
        ValueError: with every missing, unknown or differently shaped key; nothing is loaded then.
    """
    if state is not None:
        weights = backbone_state(state)
        if problems := state_problems(backbone, weights):
            raise ValueError("weights do not fit the backbone:\n  " + "\n  ".join(problems))
        backbone.load_state_dict(weights, strict=False)
    return backbone
