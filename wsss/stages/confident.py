"""The confident regions of an image, as its section of the configuration describes them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wsss.method.affinity import STRIDE
from wsss.method.confident import confident_labels, threshold_labels
from wsss.stages.inference.refinement import Refine
from wsss.study.config import Confident


def label_image(
    cams: Tensor, classes: Sequence[int], confident: Confident, refine: Refine | None = None
) -> Tensor:
    """Label the pixels whose class is certain (Ahn & Kwak 2018, section 3.2.1).

    Args:
        cams: (K, H, W) in [0, 1].
        classes: the K classes, 0-based.
        confident: background and its two scores, pooling.
        refine: function from scores (1 + K, H, W), background first, to refined ones.

    Returns:
        (H, W) uint8: 0 background, class + 1, 255 undecided.
    """
    values, pool = [label + 1 for label in classes], STRIDE if confident.pooling == "scores" else 1
    if confident.background == "constant":
        high, low = confident.foreground_threshold, confident.background_threshold
        return threshold_labels(cams, values, foreground=high, background=low, refine=refine, pool=pool)
    alphas = {"low_alpha": confident.low_alpha, "high_alpha": confident.high_alpha}
    return confident_labels(cams, values, **alphas, refine=refine, pool=pool)
