"""What is true of a split, and how confusions with it become the metrics of a study.

CAMs, confident regions, affinities and pseudo masks are scored on the training images that the data set lists
as scored; so is the segmentation network on train. On val all images with a mask count. Without any mask the
metrics are nan (null in JSON), `scored_images` is 0, and nothing fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.data import Manifest, read_mask
from wsss.method.labels import value_names
from wsss.method.metrics import class_iou, class_precision, class_recall
from wsss.results import ImageConfusion
from wsss.runtime.console import progress

Metrics = dict[str, Any]
"""The content of a file `scores/<artifact>.json`."""

PROTOCOL = (
    "Pixels of all scored images are counted together. IoU per class: hits / (truth + prediction - hits); "
    "miou: mean over the classes that appear, background included; pixels with truth 255 do not count."
)


class Scored(NamedTuple):
    """Quality of an artifact: `metrics` of all images, `scores/<artifact>.json`, and `images`, its `.tsv`."""

    metrics: Metrics
    images: list[ImageConfusion]


class Truth:
    """The scored images of a split and their true masks.

    Attributes:
        split: of the data set.
        value_names: names by mask value, background first.
    """

    def __init__(self, manifest: Manifest, split: str) -> None:
        rows = [row for row in manifest.split(split) if row.mask and (row.scored or split != "train")]
        self.split = split
        self.value_names = value_names(manifest.class_names)
        self._masks = {row.id: row.mask for row in rows if row.mask}

    def __len__(self) -> int:
        """Return the number of scored images."""
        return len(self._masks)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each image's id and true mask (H, W) uint8."""
        for image_id, path in progress(self._masks.items(), len(self), label="scored"):
            yield image_id, torch.from_numpy(read_mask(path))

    def confused(self, image_id: str, confusion: Tensor) -> ImageConfusion:
        """Keep the confusion matrix (C, C), or (C, C + 1), of an image for the table."""
        return ImageConfusion.of(image_id, self.split, confusion.numpy())

    def scored(
        self, images: Iterable[ImageConfusion], protocol: str = "", *, undecided: bool = False
    ) -> Scored:
        """Add up the confusions of the scored images.

        Args:
            images: one for each.
            protocol: what is special to the artifact in how it is counted.
            undecided: whether the confusion matrix has a last column of undecided pixels, 255.
        """
        images = list(images)
        n_values = len(self.value_names)
        total = sum(
            (image.matrix(n_values) for image in images), np.zeros((n_values, n_values + 1), np.int64)
        )
        confusion = torch.from_numpy(total if undecided else total[:, :-1])
        return Scored(self.metrics(confusion, protocol), images)

    def metrics(self, confusion: Tensor, protocol: str = "") -> Metrics:
        """Turn a confusion matrix (C, C), or (C, C + 1) with a column of undecided pixels, into metrics."""
        square = F.pad(confusion, (0, 0, 0, confusion.shape[1] - confusion.shape[0]))
        per_value = {
            "iou": class_iou(square),
            "precision": class_precision(square),
            "recall": class_recall(square),
        }
        named = {
            name: dict(zip(self.value_names, values.tolist(), strict=False))
            for name, values in per_value.items()
        }
        return {
            "protocol": f"{PROTOCOL} {protocol}".strip(),
            "split": self.split,
            "scored_images": len(self),
            "value_names": list(self.value_names),
            "confusion": confusion.tolist(),
            "miou": per_value["iou"][: len(confusion)].nanmean().item(),
        } | named
