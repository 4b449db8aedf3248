"""Confident regions, as their section of the configuration describes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.data.loading import in_threads
from wsss.method.confident import confident_labels, threshold_labels
from wsss.method.neighbours import STRIDE
from wsss.results import Cams
from wsss.stages.inference.refinement import Refine, image_refinement
from wsss.study.config import Confident, DenseCrf


def label_images(
    rows: Iterable[ImageRow],
    cams: Mapping[str, Cams],
    confident: Confident,
    dense_crf: DenseCrf | None = None,
    *,
    device: torch.device,
    threads: int = 1,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Label the pixels of images whose class is certain, several images at once.

    Args:
        rows: the images.
        cams: by image id.
        confident: the two backgrounds and the pooling.
        dense_crf: refines the scores, if given.
        device: on which to compute.
        threads: the most images at once.

    Yields:
        id and labels, see `label_image`.
    """

    def label(row: ImageRow) -> tuple[str, NDArray[np.uint8]]:
        scores, class_values = cams[row.id]
        refine = image_refinement(row, dense_crf, device) if dense_crf else None
        labels = label_image(torch.from_numpy(scores).to(device), class_values, confident, refine)
        return row.id, labels.cpu().numpy()

    return in_threads(label, rows, threads)


def label_image(
    cams: Tensor, class_values: NDArray[np.int64], confident: Confident, refine: Refine | None = None
) -> Tensor:
    """Label the pixels whose class is certain (Ahn & Kwak 2018, section 3.2.1).

    Args:
        cams: (K, H, W) in [0, 1].
        class_values: (K,) mask values of the maps.
        confident: the two backgrounds and the pooling.
        refine: function from scores (1 + K, H, W), background first, to refined ones.

    Returns:
        (H, W) uint8 mask values, 255 where undecided.
    """
    pool = STRIDE if confident.pooling == "scores" else 1
    between = confident.background
    if between.kind == "constant":
        thresholds = {"foreground": between.foreground, "background": between.background}
        return threshold_labels(cams, class_values, **thresholds, refine=refine, pool=pool)
    alphas = {"low_alpha": between.low_alpha, "high_alpha": between.high_alpha}
    return confident_labels(cams, class_values, **alphas, refine=refine, pool=pool)
