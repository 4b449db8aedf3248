"""What the classifier sees in images: logits and class activation maps (Ahn & Kwak 2018, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from wsss.data import ImageRow, Manifest
from wsss.method.cam import combine_cams
from wsss.method.labels import class_values
from wsss.models.classifier import Classifier, restore_classifier
from wsss.runtime.compute import Compute
from wsss.stages.cams import CamItem, CamsJob, require_same_classes
from wsss.stages.inference.passes import passes, scaled_batches
from wsss.study.config import ClassifierCams

FACTS = {"network": "classifier"}


def compute(cams: ClassifierCams, images: Manifest, job: CamsJob) -> Iterator[CamItem]:
    """Compute CAMs with the classifier whose checkpoint is an input of the job."""
    trained = restore_classifier(job.input.checkpoint)
    require_same_classes(f"{job.input.checkpoint}: a classifier", trained.class_names, images)
    return compute_cams(job.compute.place(trained.network), images.rows, cams, job.compute)


@torch.inference_mode()
def classify(
    model: Classifier, rows: Iterable[ImageRow], *, compute: Compute
) -> Iterator[tuple[ImageRow, Tensor]]:
    """Yield each image with its logits (n_classes,), from one pass over the whole image."""
    for batch, images in scaled_batches(model.backbone.normalization, rows, (1.0,), compute):
        logits = next(passes(model, images, False, compute))[0]
        yield from zip(batch, logits.cpu(), strict=True)


@torch.inference_mode()
def compute_cams(
    model: Classifier, rows: Iterable[ImageRow], cams: ClassifierCams, compute: Compute
) -> Iterator[CamItem]:
    """Compute the CAMs of each image's labels.

    Args:
        model: the classifier.
        rows: the images, with their labels.
        cams: scales, whose scores are added, whether to see the mirror image too, and of which last layer.
        compute: where and how.

    Yields:
        id, CAMs (K, H, W) float16 in [0, 1], and their mask values (K,), ascending; K is 0 without labels.
    """
    seeing = partial(model.cam, weights=cams.weights)
    for batch, images in scaled_batches(model.backbone.normalization, rows, cams.scales, compute):
        counts = [len(row.labels) for row in batch]
        owner = torch.arange(len(batch)).repeat_interleave(torch.tensor(counts))
        labels = torch.tensor([label for row in batch for label in row.labels], dtype=torch.int64)
        seen = (
            (raw[owner, labels], mirrored) for raw, mirrored in passes(seeing, images, cams.flip, compute)
        )
        size, power = (batch[0].height, batch[0].width), model.backbone.cam_exponent
        stacks = combine_cams(seen, size, power=power).half().cpu()
        for row, stack in zip(batch, torch.split(stacks, counts), strict=True):
            yield row.id, stack.numpy(), class_values(row.labels)
