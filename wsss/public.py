"""The public names of `wsss`, imported when they are first used: `import wsss` needs no torch."""

from __future__ import annotations

from importlib import import_module

HOMES = {
    "load_model": "wsss.stages.bundle.model",
    "SegmentationModel": "wsss.stages.bundle.model",
    "ClassificationModel": "wsss.stages.bundle.model",
    "AffinityModel": "wsss.stages.bundle.model",
    "SegmentedImage": "wsss.stages.bundle.model",
    "ClassifiedImage": "wsss.stages.bundle.model",
    "refine": "wsss.stages.bundle.refine",
    "combine_cams": "wsss.method.cam",
    "background_score": "wsss.method.cam",
    "constant_background": "wsss.method.cam",
    "with_background": "wsss.method.cam",
    "confident_labels": "wsss.method.confident",
    "threshold_labels": "wsss.method.confident",
    "grid_labels": "wsss.method.confident",
    "affinity_stencil": "wsss.method.affinity",
    "boundary_stencil": "wsss.method.affinity",
    "half_plane_offsets": "wsss.method.affinity",
    "pair_targets": "wsss.method.affinity",
    "affinity_loss": "wsss.method.affinity",
    "propagate": "wsss.method.random_walk",
    "to_grid": "wsss.method.grid",
    "from_grid": "wsss.method.grid",
    "dense_crf": "wsss.method.dense_crf",
    "DenseCRF": "wsss.method.dense_crf",
    "confusion_matrix": "wsss.method.metrics",
    "class_iou": "wsss.method.metrics",
    "mean_iou": "wsss.method.metrics",
    "average_precision": "wsss.method.metrics",
    "class_values": "wsss.method.labels",
    "value_names": "wsss.method.labels",
    "read_image": "wsss.data",
    "read_mask": "wsss.data",
    "write_mask": "wsss.data",
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    """Import a public name; `wsss/__init__.py` takes this function over (PEP 562)."""
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'wsss' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*HOMES, "__version__"])
