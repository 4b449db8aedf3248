"""Quality of CAMs, as they are and after a refinement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wsss.data import Manifest
from wsss.data.loading import in_threads
from wsss.method.cam import constant_background, with_background
from wsss.method.labels import BACKGROUND
from wsss.method.metrics import alpha_threshold, background_sweep, confusion_matrix, mean_iou
from wsss.results import Cams, ImageConfusion
from wsss.stages.inference.refinement import Refine, image_refinement
from wsss.stages.scores.truth import Metrics, Scored, Truth
from wsss.study.config import DenseCrf

CONSTANTS = tuple(step / 100 for step in range(1, 100))
ALPHAS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)

PROTOCOL = (
    "An image's true labels are given. Confusion, miou and the figures per class are those at the constant "
    "background that is best for miou."
)
REFINED_PROTOCOL = "CAMs and a constant background after the dense CRF, without the random walk."


class ScoredCams(NamedTuple):
    """Quality of CAMs, as `Scored`, and of each image after the dense CRF, if it was scored (`refined`)."""

    metrics: Metrics
    images: list[ImageConfusion]
    refined: list[ImageConfusion]


def score_study_cams(
    images: Manifest, cams: Mapping[str, Cams], dense_crf: DenseCrf | None = None, threads: int = 1
) -> ScoredCams:
    """Score the CAMs of train, and beside them ("dense_crf" of the metrics) the CAMs after the dense CRF.

    The dense CRF takes too long to try every background: it sees the best without it, and one on either side.

    Args:
        images: with the true masks.
        cams: by image id.
        dense_crf: of the study, if one of its stages refines by it.
        threads: that count and refine.
    """
    truth = Truth(images, "train")
    scored = score_cams(truth, cams, threads)
    if dense_crf is None or not len(truth):
        return ScoredCams(*scored, refined=[])
    rows = {row.id: row for row in images.rows}
    around_best = [scored.metrics["constant"] + step for step in (-0.05, 0.0, 0.05)]
    refined = score_refined_cams(
        truth, cams, lambda image_id: image_refinement(rows[image_id], dense_crf), around_best, threads
    )
    return ScoredCams(scored.metrics | {"dense_crf": refined.metrics}, scored.images, refined.images)


def score_cams(truth: Truth, cams: Mapping[str, Cams], threads: int = 1) -> Scored:
    """Score CAMs at their best constant background, and their mIoU at each constant and alpha.

    Args:
        truth: the scored images.
        cams: by image id.
        threads: that count.
    """
    thresholds = sorted({*CONSTANTS, *map(alpha_threshold, ALPHAS)})
    n_values = len(truth.value_names)
    confusions = torch.zeros(len(thresholds), n_values, n_values, dtype=torch.int64)
    for _, found in in_threads(_counting(truth, cams, thresholds), truth, threads):
        confusions += found
    miou = dict(zip(thresholds, mean_iou(confusions).tolist(), strict=True))
    best = max(CONSTANTS, key=miou.__getitem__)
    at_best = in_threads(_counting(truth, cams, [best]), truth, threads)
    scored = truth.scored((truth.confused(image_id, found[0]) for image_id, found in at_best), PROTOCOL)
    more = {
        "constant": best if len(truth) else None,
        "constants": {f"{constant:g}": miou[constant] for constant in CONSTANTS},
        "alphas": {f"{alpha:g}": miou[alpha_threshold(alpha)] for alpha in ALPHAS},
    }
    return scored._replace(metrics=scored.metrics | more)


def _counting(
    truth: Truth, cams: Mapping[str, Cams], thresholds: Sequence[float]
) -> Callable[[tuple[str, Tensor]], tuple[str, Tensor]]:
    """Make the function from an image's id and true mask to its id and confusions (T, C, C)."""

    def count(image: tuple[str, Tensor]) -> tuple[str, Tensor]:
        image_id, true_mask = image
        scores, class_values = cams[image_id]
        maps, tried = torch.from_numpy(scores), torch.tensor(thresholds)
        return image_id, background_sweep(maps, class_values, true_mask, len(truth.value_names), tried)

    return count


def score_refined_cams(
    truth: Truth,
    cams: Mapping[str, Cams],
    refinement: Callable[[str], Refine],
    constants: Sequence[float],
    threads: int = 1,
) -> Scored:
    """Score the classes that win after a refinement of CAMs and a constant background, without any walk.

    Args:
        truth: the scored images.
        cams: by image id.
        refinement: gives the function that refines the scores of an image id.
        constants: backgrounds to try; the scores are those of the best, the first of equals.
        threads: that refine.
    """

    def confused(image: tuple[str, Tensor]) -> list[ImageConfusion]:
        image_id, true_mask = image
        scores, class_values = cams[image_id]
        maps, refine = torch.from_numpy(scores).float(), refinement(image_id)
        values = torch.tensor([BACKGROUND, *class_values], dtype=torch.uint8)
        winners = (
            refine(with_background(maps, constant_background(maps, constant))).argmax(0)
            for constant in constants
        )
        return [
            truth.confused(image_id, confusion_matrix(values[winner], true_mask, len(truth.value_names)))
            for winner in winners
        ]

    images = list(in_threads(confused, truth, threads))
    tried = [
        truth.scored((of_image[place] for of_image in images), REFINED_PROTOCOL)
        for place in range(len(constants))
    ]
    miou = torch.tensor([scored.metrics["miou"] for scored in tried])
    best = int(miou.nan_to_num().argmax())
    return tried[best]._replace(metrics=tried[best].metrics | {"constant": constants[best]})
