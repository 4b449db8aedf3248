"""What the optimizer may move, and how fast: frozen stages and the method's four parameter groups."""

from __future__ import annotations

from typing import Any

from torch import nn

from wsss.models.network import Network


def freeze(model: Network, frozen_stages: int, batch_norm: str) -> None:
    """Freeze the first stages of ``model.backbone``, and its batch norms with ``batch_norm="frozen"``.

    Frozen parameters take no gradient, and frozen modules stay in evaluation mode through every
    ``model.train()``. What lies above the backbone stays trained. As many frozen stages as
    ``model.backbone.stages`` has freeze the whole backbone.

    Raises:
        ValueError: if the backbone has fewer stages, or ``batch_norm`` is neither "frozen" nor "trained".
    """
    model.backbone.freeze(frozen_stages, batch_norm)


def parameter_groups(
    model: Network, learning_rate: float, weight_decay: float, new_layer_factor: float
) -> list[dict[str, Any]]:
    """Sort the parameters that take gradients into the method's four groups for ``torch.optim``.

    Backbone weights learn at ``learning_rate``; backbone biases at twice that without decay; weights above
    the backbone at ``new_layer_factor`` times it; their biases at twice that, without decay. The shift of a
    norm counts as a bias, its scale as a weight. Always four groups in this order, some perhaps empty.
    """
    groups: tuple[list[nn.Parameter], ...] = ([], [], [], [])
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            old, bias = name.startswith("backbone."), name.endswith("bias")
            groups[2 * (not old) + bias].append(parameter)
    pretrained_weights, pretrained_biases, new_weights, new_biases = groups
    new_rate = learning_rate * new_layer_factor
    return [
        {"params": pretrained_weights, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": pretrained_biases, "lr": 2 * learning_rate, "weight_decay": 0.0},
        {"params": new_weights, "lr": new_rate, "weight_decay": weight_decay},
        {"params": new_biases, "lr": 2 * new_rate, "weight_decay": 0.0},
    ]
