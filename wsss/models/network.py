"""What all networks have in common: a backbone, and how its entries are named in a state dict."""

from __future__ import annotations

from torch import nn

from wsss.models.backbone import Backbone, Task
from wsss.models.state import PREFIX, hide_prefix


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
            hide_prefix(self, PREFIX.removesuffix("."))
