"""The dense CRF of an image, as the stages that may refine their scores call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
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
    return pixel_refinement(row.photograph(), dense_crf, device)


def pixel_refinement(image: NDArray[np.uint8], dense_crf: DenseCrf, device: torch.device = CPU) -> Refine:
    """Do as `image_refinement` for an image (H, W, 3) uint8."""
    pixels = torch.tensor(image, device=device)
    return DenseCRF(pixels, **kernels(dense_crf, max(image.shape[:2])))


class Kernels(TypedDict):
    """What `DenseCRF` is told besides the image, distances in pixels."""

    iterations: int
    gaussian: tuple[float, float]
    bilateral: tuple[float, float, float]


def kernels(dense_crf: DenseCrf, longest_side: int) -> Kernels:
    """Return the kernels for an image of this longest side, in pixels; numbers of pixels count as written."""
    unit = longest_side if dense_crf.distances == "share" else 1
    (smooth, weight), (reach, colours, strength) = dense_crf.gaussian, dense_crf.bilateral
    return Kernels(
        iterations=dense_crf.iterations,
        gaussian=(smooth * unit, weight),
        bilateral=(reach * unit, colours, strength),
    )
