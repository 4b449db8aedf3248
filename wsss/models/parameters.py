"""What the optimiser may move, how fast, and what of it decays."""

from __future__ import annotations

from typing import Any

from torch import nn

from wsss.models.network import Network
from wsss.models.state import PREFIX
from wsss.study.config.training import AdamW, Sgd

#: Layers whose ``weight`` is a matrix.
MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def freeze(network: Network, frozen_stages: int, batch_norm: str) -> None:
    """Freeze the first stages of ``network.backbone``, and its batch norms with ``batch_norm="frozen"``.

    Frozen parameters take no gradient, and frozen modules stay in evaluation mode through every
    ``network.train()``. What lies above the backbone stays trained. As many frozen stages as
    ``network.backbone.stages`` has freeze the whole backbone.

    Raises:
        ValueError: if the backbone has fewer stages, or ``batch_norm`` is neither "frozen" nor "trained".
    """
    network.backbone.freeze(frozen_stages, batch_norm)


def parameter_groups(network: Network, optimizer: Sgd | AdamW) -> list[dict[str, Any]]:
    """Sort the parameters that take gradients into groups for ``torch.optim``.

    The layers above the backbone are newly initialised and learn ``head_lr_multiplier`` times as fast, but
    for those that the network says learn as the backbone does; biases ``bias_lr_multiplier`` times as fast as
    weights. Biases, among them the shifts of norms, never decay.

    With ``decayed: weights`` the groups are those of the published code, always four in this order: weights
    of the backbone, its biases, weights above it, their biases. Every weight decays, scales of norms too.
    With ``matrices`` there are six: after the weights of convolutions and linear layers, which decay, come
    those that do not: scales of norms, tokens, position embeddings and what the backbone lists.
    """
    matrices = _matrices(network) if optimizer.decayed == "matrices" else None
    slow = network.at_backbone_rate()
    kinds = ["decayed", "bias"] if matrices is None else ["decayed", "kept", "bias"]
    groups: dict[tuple[bool, str], list[nn.Parameter]] = {
        (new, kind): [] for new in (False, True) for kind in kinds
    }
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = matrices is None or name in matrices
            kind = "bias" if name.endswith("bias") else "decayed" if decays else "kept"
            groups[not (name.startswith(PREFIX) or name in slow), kind].append(parameter)
    return [
        {
            "params": parameters,
            "lr": optimizer.learning_rate
            * (optimizer.head_lr_multiplier if new else 1)
            * (optimizer.bias_lr_multiplier if kind == "bias" else 1),
            "weight_decay": optimizer.weight_decay if kind == "decayed" else 0.0,
        }
        for (new, kind), parameters in groups.items()
    ]


def _matrices(network: Network) -> set[str]:
    """Names of the weights of convolutions and linear layers, but for those that the backbone excepts."""
    excepted = tuple(PREFIX + name for name in network.backbone.no_weight_decay())
    found = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, MATRICES)}
    return {
        name
        for name in found
        if not any(name == exception or name.startswith(f"{exception}.") for exception in excepted)
    }
