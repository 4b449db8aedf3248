"""The dense CRF of an image, as the stages that may refine their scores call it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, read_image
from wsss.method.dense_crf import DenseCRF
from wsss.study.config import DenseCrf

CPU = torch.device("cpu")

Refine = Callable[[Tensor], Tensor]
"""Function from scores (C, H, W) of an image to scores that follow its edges."""


def image_refinement(row: ImageRow, dense_crf: DenseCrf, device: torch.device = CPU) -> Refine:
    """Make the function that refines the scores of an image.

    Args:
        row: the image, which is read.
        dense_crf: iterations and kernels.
        device: on which the scores will be.

    Returns:
        A function from scores (C, H, W) to the posterior (C, H, W) float32 of the dense CRF.
    """
    return pixel_refinement(read_image(row.image), dense_crf, device)


def pixel_refinement(image: NDArray[np.uint8], dense_crf: DenseCrf, device: torch.device = CPU) -> Refine:
    """Do as `image_refinement` for an image (H, W, 3) uint8."""
    return DenseCRF(
        torch.tensor(image, device=device),
        iterations=dense_crf.iterations,
        gaussian=dense_crf.gaussian,
        bilateral=dense_crf.bilateral,
    )
