"""Affinity leak across true borders, and the random walk's upper bound with true affinities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data.transforms import scaled_labels
from wsss.method.affinity import affinity_leak, oracle_stencil
from wsss.method.confident import grid_labels
from wsss.method.metrics import confusion_matrix
from wsss.method.neighbours import STRIDE
from wsss.results import AffinityGrid, Cams
from wsss.stages.random_walk import propagate_image
from wsss.stages.scores.truth import PROTOCOL, Scored, Truth
from wsss.study.config import RandomWalk
from wsss.study.config.fields import settled

AFFINITY_PROTOCOL = (
    "equal, different: mean of W^beta over truly equal and truly different neighbours, averaged over images. "
    "ceiling: pseudo masks of the same CAMs walked over affinities taken from the true masks."
)


def score_affinities(
    truth: Truth,
    affinities: Mapping[str, NDArray[np.float16]],
    cams: Mapping[str, Cams],
    *,
    grid: AffinityGrid,
    walk: RandomWalk,
    device: torch.device,
) -> Scored:
    """Measure what the affinities leak across true borders, and what the walk could reach without that.

    Args:
        truth: the scored images.
        affinities: stencils (P, h, w) before the power beta.
        cams: the CAMs that are walked.
        grid: of the affinities.
        walk: the study's random walk, whose masks are not refined here.
        device: on which to walk.

    Returns:
        The leak, with the metrics of the walk over true affinities as "ceiling", which the confusions
        of the images belong to.
    """
    images, means = [], []
    for image_id, true_mask in truth:
        scaled = torch.tensor(scaled_labels(true_mask.numpy(), grid.input_scale))
        cells = grid_labels(scaled, STRIDE, ignore_votes=False)
        stencil = torch.from_numpy(affinities[image_id])
        means.append(affinity_leak(stencil, cells, settled(walk.beta), grid.radius, grid.border))
        scores, class_values = cams[image_id]
        reached = propagate_image(
            oracle_stencil(cells, grid.radius).to(device),
            torch.from_numpy(scores).to(device),
            class_values,
            input_scale=grid.input_scale,
            walk=walk,
        )
        confusion = confusion_matrix(torch.from_numpy(reached), true_mask, len(truth.value_names))
        images.append(truth.confused(image_id, confusion))
    ceiling = truth.scored(images)
    equal, different = np.array(means or [(np.nan, np.nan)]).T
    leak = {
        "protocol": f"{PROTOCOL} {AFFINITY_PROTOCOL}",
        "beta": walk.beta,
        "equal": _mean(equal),
        "different": _mean(different),
        "scored_images": len(truth),
        "ceiling": ceiling.metrics,
    }
    return ceiling._replace(metrics=leak)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
