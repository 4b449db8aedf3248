"""Semantic segmentation with weak supervision: from image-level labels to masks and a network.

    mask = wsss.load_model("results/shapes/bundle/segmenter").predict("photograph.jpg").mask

See docs/python.md. Everything below is imported when it is first used.
"""

from typing import TYPE_CHECKING

from wsss.public import __dir__ as __dir__
from wsss.public import __getattr__ as __getattr__

if TYPE_CHECKING:
    from wsss.data import read_image, read_mask, write_mask
    from wsss.method.affinity import (
        affinity_loss,
        affinity_stencil,
        boundary_stencil,
        half_plane_offsets,
        pair_targets,
    )
    from wsss.method.cam import background_score, combine_cams, constant_background, with_background
    from wsss.method.confident import confident_labels, grid_labels, threshold_labels
    from wsss.method.dense_crf import DenseCRF, dense_crf
    from wsss.method.grid import from_grid, to_grid
    from wsss.method.labels import class_values, value_names
    from wsss.method.metrics import average_precision, class_iou, confusion_matrix, mean_iou
    from wsss.method.random_walk import propagate
    from wsss.stages.bundle.model import (
        AffinityModel,
        ClassificationModel,
        ClassifiedImage,
        SegmentationModel,
        SegmentedImage,
        load_model,
    )
    from wsss.stages.bundle.refine import refine

__version__ = "0.1.0"
__all__ = [
    "AffinityModel",
    "ClassificationModel",
    "ClassifiedImage",
    "DenseCRF",
    "SegmentationModel",
    "SegmentedImage",
    "__version__",
    "affinity_loss",
    "affinity_stencil",
    "average_precision",
    "background_score",
    "boundary_stencil",
    "class_iou",
    "class_values",
    "combine_cams",
    "confident_labels",
    "confusion_matrix",
    "constant_background",
    "dense_crf",
    "from_grid",
    "grid_labels",
    "half_plane_offsets",
    "load_model",
    "mean_iou",
    "pair_targets",
    "propagate",
    "read_image",
    "read_mask",
    "refine",
    "threshold_labels",
    "to_grid",
    "value_names",
    "with_background",
    "write_mask",
]
