"""How much of the affinities leaks across true borders, and what the random walk could reach without that."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data.transforms import scaled_labels
from wsss.method.affinity import STRIDE, Border, affinity_leak, oracle_stencil
from wsss.method.confident import grid_labels
from wsss.method.metrics import confusion_matrix
from wsss.results import Cams
from wsss.stages.random_walk import propagate_image
from wsss.stages.scores.masks import PROTOCOL, Scores, Truth, no_pixels, scores_of
from wsss.study.config import RandomWalk

AFFINITY_PROTOCOL = (
    "equal, different: mean of W^beta over truly equal and truly different neighbours, averaged over images. "
    "ceiling: pseudo masks of the same CAMs walked over affinities taken from the true masks."
)


def score_affinities(
    truth: Truth,
    affinities: Mapping[str, NDArray[np.float16]],
    cams: Mapping[str, Cams],
    *,
    input_scale: float,
    radius: int,
    border: Border,
    walk: RandomWalk,
    device: torch.device,
) -> Scores:
    """Measure what the affinities leak across true borders, and what the walk could reach without that.

    Args:
        truth: the scored images.
        affinities: stencils (P, h, w) before the power beta.
        cams: the CAMs that are walked.
        input_scale: with which they were computed.
        radius: of the stencils, in cells.
        border: of the stencils.
        walk: background, beta, t and tolerance of the study.
        device: on which to walk.

    """
    confusion, means = no_pixels(truth), []
    for image_id, true_mask in truth:
        stencil = torch.from_numpy(affinities[image_id])
        labels = torch.tensor(scaled_labels(true_mask.numpy(), input_scale))
        labels = grid_labels(labels, STRIDE, ignore_votes=False)
        means.append(affinity_leak(stencil, labels, walk.beta, radius, border))
        scores, classes = cams[image_id]
        reached = propagate_image(
            oracle_stencil(labels, radius).to(device),
            torch.from_numpy(scores).to(device),
            classes.tolist(),
            input_scale=input_scale,
            walk=walk,
        )
        confusion += confusion_matrix(torch.from_numpy(reached.mask), true_mask, len(truth.classes))
    equal, different = np.array(means or [(np.nan, np.nan)]).T
    return {
        "protocol": f"{PROTOCOL} {AFFINITY_PROTOCOL}",
        "beta": walk.beta,
        "equal": _mean(equal),
        "different": _mean(different),
        "scored_images": len(truth),
        "ceiling": scores_of(truth, confusion),
    }


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
