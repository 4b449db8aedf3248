"""What all networks have in common: a backbone, and how its entries are named in a state dict."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from wsss.models.backbone import Backbone, Task
from wsss.models.state import PREFIX


class Network(nn.Module):
    """A backbone, and above it the layers that a subclass adds.

    State dicts name the backbone's entries with the prefix ``backbone.``; those of networks on published
    backbones (``flat_keys``) do without, as the published files do.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, task: Task) -> None:
        super().__init__()
        self.backbone = backbone
        backbone.fit_to(task)
        if backbone.flat_keys:
            self.register_state_dict_post_hook(self._flatten)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_pre_hook(self._unflatten)  # type: ignore[no-untyped-call]

    @staticmethod
    def _flatten(module: Network, state: dict[str, Tensor], prefix: str, metadata: Any) -> None:
        flat = {key.replace(prefix + PREFIX, prefix, 1): value for key, value in state.items()}
        state.clear()
        state.update(flat)

    @staticmethod
    def _unflatten(module: Network, state: dict[str, Tensor], prefix: str, *unused: Any) -> None:
        layers = dict(module.backbone.named_children())
        for key in list(state):
            if key.removeprefix(prefix).split(".")[0] in layers:
                state[prefix + PREFIX + key.removeprefix(prefix)] = state.pop(key)
