"""The dense CRF of an image, as the stages that may refine their scores call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from wsss.data import ImageRow, read_image
from wsss.method.dense_crf import DenseCRF

CPU = torch.device("cpu")

Refine = Callable[[Tensor], Tensor]
"""Function from scores (C, H, W) of an image to scores that follow its edges."""


def image_refinement(row: ImageRow, dense_crf: Mapping[str, Any], device: torch.device = CPU) -> Refine:
    """Make the function that refines scores of an image on `device`; `dense_crf` is that section."""
    image = torch.tensor(read_image(row.image), device=device)
    return DenseCRF(
        image,
        iterations=dense_crf["iterations"],
        gaussian=tuple(dense_crf["gaussian"]),
        bilateral=tuple(dense_crf["bilateral"]),
    )
