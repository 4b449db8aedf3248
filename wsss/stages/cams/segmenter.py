"""Seeds from a segmentation network: its probabilities, kept to the labels of each image.

With them the affinities and the pseudo masks of another round begin where the network of the last one has
ended. That predictions of a network, kept to what is known of an image, train the next one is self-training;
Khoreva et al., Simple Does It (CVPR 2017), section 3, do so with boxes.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from wsss.data import ImageRow, Manifest
from wsss.method.labels import class_values
from wsss.models.segmenter import restore_segmenter
from wsss.stages.cams import CamItem, CamsJob, require_same_classes
from wsss.stages.inference.passes import scaled_batches
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.segmentation import class_probabilities
from wsss.study.config import SegmenterCams

FACTS = {"network": "segmenter"}

LEAST = 1e-12
"""Of a probability, so that there is something to divide by."""


def compute(cams: SegmenterCams, images: Manifest, job: CamsJob) -> Iterator[CamItem]:
    """Compute seeds with the network whose checkpoint is an input of the job."""
    trained = restore_segmenter(job.input.checkpoint)
    require_same_classes(f"{job.input.checkpoint}: a segmentation network", trained.class_names, images)
    model, compute = job.compute.place(trained.network), job.compute
    for batch, scaled in scaled_batches(model.backbone.normalization, images.rows, cams.scales, compute):
        size = (batch[0].height, batch[0].width)
        for row, scores in zip(
            batch, class_probabilities(model, scaled, size, cams.flip, compute), strict=True
        ):
            kept = kept_to_labels(scores, row)
            dense_crf = job.params.dense_crf
            refined = image_refinement(row, dense_crf, kept.device)(kept) if dense_crf else kept
            yield row.id, refined[1:].half().cpu().numpy(), class_values(row.labels)


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
