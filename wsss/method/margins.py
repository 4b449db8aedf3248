"""How sure a pixel's class is: by how much the first of its scores leads the second."""

from __future__ import annotations

import torch
from torch import Tensor

MARGIN_OF_ONE = 255
"""What a margin of 1 is stored as."""


def margin_of(scores: Tensor) -> Tensor:
    """The lead of the first class at each pixel, 1 - second / first.

    Args:
        scores: (C, ...) at least 0, background included; with C = 1 nothing comes second.

    Returns:
        (...) uint8, 0 for two classes that are equal and 255 where the second has nothing.
    """
    if len(scores) < 2:
        return torch.full(scores.shape[1:], MARGIN_OF_ONE, dtype=torch.uint8, device=scores.device)
    first, second = scores.float().topk(2, dim=0).values
    lead = 1 - second / first.clamp(min=torch.finfo(torch.float32).tiny)
    margin: Tensor = (lead.clamp(0, 1) * MARGIN_OF_ONE).round()
    return margin.to(torch.uint8)
