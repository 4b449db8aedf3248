"""Scores of a study's artifacts against true masks, as `scores/*.json` holds them.

CAMs, confident regions, affinities and pseudo masks are scored on the training images that the data set lists
as scored, the segmentation network, and pseudo masks of val where the study makes them, on all of val that
has a mask. Without any mask the scores are nan (null in JSON), `scored_images` is 0, and nothing fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import Manifest, read_mask
from wsss.data.loading import in_threads
from wsss.method.metrics import (
    alpha_threshold,
    background_sweep,
    class_iou,
    class_precision,
    class_recall,
    confident_confusion,
    confident_quality,
    confusion_matrix,
    mean_iou,
)
from wsss.results import Cams
from wsss.runtime import progress
from wsss.stages.inference.refinement import Refine

CONSTANTS = tuple(step / 100 for step in range(1, 100))
ALPHAS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)

Scores = dict[str, Any]

PROTOCOL = (
    "Pixels of all scored images are counted together. IoU per class: hits / (truth + prediction - hits); "
    "miou: mean over the classes that appear, background included; pixels with truth 255 do not count."
)
CAM_PROTOCOL = (
    "An image's true labels are given. Scores above are at the constant background that is best for miou."
)
REFINED_PROTOCOL = "CAMs and a constant background after the dense CRF, without the random walk."
CONFIDENT_PROTOCOL = (
    "Undecided pixels are the last column of the confusion; they count against IoU and recall. "
    "Shares are of all pixels with a known truth."
)


class Truth:
    """The scored images of a split and their true masks; `classes` are the names, background first."""

    def __init__(self, manifest: Manifest, split: str) -> None:
        rows = [row for row in manifest.split(split) if row.mask and (row.scored or split != "train")]
        self.split = split
        self.classes = ("background", *manifest.classes)
        self._masks = {row.id: row.mask for row in rows if row.mask}

    def __len__(self) -> int:
        """Return the number of scored images."""
        return len(self._masks)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each image's id and true mask (H, W) uint8."""
        for image_id, path in progress(self._masks.items(), len(self), label="scored"):
            yield image_id, torch.from_numpy(read_mask(path))


def score_masks(truth: Truth, mask_of: Callable[[str], NDArray[np.uint8]]) -> Scores:
    """Score masks (H, W) uint8; `mask_of` gives that of an image id."""
    confusion = no_pixels(truth)
    for image_id, true_mask in truth:
        confusion += confusion_matrix(torch.from_numpy(mask_of(image_id)), true_mask, len(truth.classes))
    return scores_of(truth, confusion)


def score_cams(truth: Truth, cams: Mapping[str, Cams]) -> Scores:
    """Score CAMs at their best constant background, and at each constant and alpha."""
    levels = sorted({*CONSTANTS, *map(alpha_threshold, ALPHAS)})
    confusions = torch.stack([no_pixels(truth)] * len(levels))
    for image_id, true_mask in truth:
        scores, classes = cams[image_id]
        confusions += background_sweep(
            torch.from_numpy(scores), classes + 1, true_mask, len(truth.classes), torch.tensor(levels)
        )
    at = dict(zip(levels, confusions, strict=True))
    miou = {level: mean_iou(confusion).item() for level, confusion in at.items()}
    best = max(CONSTANTS, key=miou.__getitem__)
    return scores_of(truth, at[best], CAM_PROTOCOL) | {
        "constant": best if len(truth) else None,
        "constants": {f"{constant:g}": miou[constant] for constant in CONSTANTS},
        "alphas": {f"{alpha:g}": miou[alpha_threshold(alpha)] for alpha in ALPHAS},
    }


def score_refined_cams(
    truth: Truth,
    cams: Mapping[str, Cams],
    refinement: Callable[[str], Refine],
    constants: Sequence[float],
    threads: int,
) -> Scores:
    """Score the classes that win after a refinement of CAMs and a constant background, without any walk.

    Args:
        truth: the scored images.
        cams: by image id.
        refinement: gives the function that refines the scores of an image id.
        constants: backgrounds to try; the scores are those of the best.
        threads: that refine.

    """

    def confusions_of(scored: tuple[str, Tensor]) -> Tensor:
        image_id, true_mask = scored
        scores, classes = cams[image_id]
        stack, refine = torch.from_numpy(scores).float(), refinement(image_id)
        values = torch.tensor([0, *(label + 1 for label in classes.tolist())], dtype=torch.uint8)
        background = torch.ones(1, *true_mask.shape)
        winners = (refine(torch.cat([constant * background, stack])).argmax(0) for constant in constants)
        return torch.stack(
            [confusion_matrix(values[winner], true_mask, len(truth.classes)) for winner in winners]
        )

    confusions = torch.stack([no_pixels(truth)] * len(constants))
    for found in in_threads(confusions_of, truth, threads):
        confusions += found
    best = int(mean_iou(confusions).nan_to_num().argmax())
    return scores_of(truth, confusions[best], REFINED_PROTOCOL) | {"constant": constants[best]}


def score_confident(truth: Truth, labels: Mapping[str, NDArray[np.uint8]]) -> Scores:
    """Measure how much of the images confident regions (H, W) uint8 cover, and how much of that is right."""
    confusion = F.pad(no_pixels(truth), (0, 1))
    for image_id, true_mask in truth:
        confusion += confident_confusion(torch.from_numpy(labels[image_id]), true_mask, len(truth.classes))
    return scores_of(truth, confusion, CONFIDENT_PROTOCOL) | confident_quality(confusion)._asdict()


def scores_of(truth: Truth, confusion: Tensor, protocol: str = "") -> Scores:
    """Turn a confusion matrix (C, C), or (C, C + 1) with a column of undecided pixels, into the scores."""
    square = F.pad(confusion, (0, 0, 0, confusion.shape[1] - confusion.shape[0]))
    per_class = {
        "iou": class_iou(square),
        "precision": class_precision(square),
        "recall": class_recall(square),
    }
    return {
        "protocol": f"{PROTOCOL} {protocol}".strip(),
        "split": truth.split,
        "scored_images": len(truth),
        "classes": list(truth.classes),
        "confusion": confusion.tolist(),
        "miou": per_class["iou"][: len(confusion)].nanmean().item(),
    } | {name: dict(zip(truth.classes, values.tolist(), strict=False)) for name, values in per_class.items()}


def no_pixels(truth: Truth) -> Tensor:
    """Return the confusion matrix (C, C) int64 to which the images' counts are added."""
    return torch.zeros(len(truth.classes), len(truth.classes), dtype=torch.int64)
