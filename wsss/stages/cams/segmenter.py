"""Seeds from a segmentation network: its probabilities, kept to the labels of each image.

With them the affinities and the pseudo masks of another round begin where the network of the last one has
ended. That predictions of a network, kept to what is known of an image, train the next one is self-training;
Khoreva et al., Simple Does It (CVPR 2017), section 3, do so with boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow, Manifest
from wsss.method.labels import class_values
from wsss.models.segmenter import restore_segmenter
from wsss.results import ArtifactError, Cams, open_shards, read_cams
from wsss.stages.cams import CamItem, CamsJob, require_same_classes
from wsss.stages.inference.passes import scaled_batches
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.segmentation import class_probabilities
from wsss.study.config import SegmenterCams

FACTS = {"network": "segmenter"}

LEAST = 1e-12
"""Of a probability, so that there is something to divide by."""


def compute(cams: SegmenterCams, images: Manifest, job: CamsJob) -> Iterator[CamItem]:
    """Compute seeds with the network whose checkpoint is an input of the job.

    Raises:
        ArtifactError: the checkpoint holds another network, or CAMs to average with are of other images.
    """
    trained = restore_segmenter(job.input.checkpoint)
    require_same_classes(f"{job.input.checkpoint}: a segmentation network", trained.class_names, images)
    model, compute = job.compute.place(trained.network), job.compute
    with open_shards([job.input.others], read_cams) if cams.blended_with else nullcontext() as others:
        for batch, scaled in scaled_batches(model.backbone.normalization, images.rows, cams.scales, compute):
            size = (batch[0].height, batch[0].width)
            for row, scores in zip(
                batch, class_probabilities(model, scaled, size, cams.flip, compute), strict=True
            ):
                kept = kept_to_labels(scores, row)
                dense_crf = job.params.dense_crf
                refined = image_refinement(row, dense_crf, kept.device)(kept) if dense_crf else kept
                seeds = refined[1:].half().cpu().numpy()
                if others is not None:
                    if row.id not in others:
                        raise ArtifactError(f"{job.input.others}: there are no CAMs of {row.id!r}")
                    seeds = averaged(row, seeds, others[row.id], cams.blend)
                yield row.id, seeds, class_values(row.labels)


def averaged(row: ImageRow, seeds: NDArray[np.float16], other: Cams, share: float) -> NDArray[np.float16]:
    """Average the seeds of an image with other CAMs of it.

    A network that has learned masks which are too small predicts such masks, and each round would make them
    smaller. What the classifier sees does not shrink.

    Args:
        row: the image.
        seeds: (K, H, W) in [0, 1], of its labels in ascending order.
        other: likewise, with the mask values of the K maps.
        share: of the other CAMs, in [0, 1].

    Raises:
        ArtifactError: the other CAMs are of other labels or another size.
    """
    scores, values, expected = other.scores, other.class_values.tolist(), class_values(row.labels).tolist()
    if scores.shape != seeds.shape or values != expected:
        raise ArtifactError(
            f"{row.id}: CAMs to average with have the shape {scores.shape} and the values {values}, "
            f"expected {seeds.shape} and {expected}"
        )
    mean: NDArray[np.float32] = (1 - share) * seeds.astype(np.float32) + share * scores.astype(np.float32)
    return mean.astype(np.float16)


def kept_to_labels(probabilities: Tensor, row: ImageRow) -> Tensor:
    """Keep the background and the labels of an image, whose probabilities then add up to 1 at each pixel.

    Where the network is certain of another class, and none of these has anything, all of them are equal.

    Args:
        probabilities: (1 + C, H, W), background first.
        row: the image, whose labels are indices of classes.

    Returns:
        (1 + K, H, W), background first, then the K labels in ascending order.
    """
    kept = probabilities[[0, *(1 + label for label in row.labels)]].clamp(min=LEAST)
    return kept / kept.sum(0, keepdim=True)
