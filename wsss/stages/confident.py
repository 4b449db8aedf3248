"""The confident regions of an image, as their section of the configuration describes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wsss.method.affinity import STRIDE
from wsss.method.confident import confident_labels, threshold_labels
from wsss.stages.inference.refinement import Refine
from wsss.study.config import Confident


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
