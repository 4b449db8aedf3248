"""Which part of the configuration each rule's result depends on."""

from __future__ import annotations

from typing import Any

from wsss.study.config.study import Study
from wsss.study.config.text import did_you_mean

# The sections, or keys of sections, that a rule's result depends on; a change of any other does not rerun it.
_USED = {
    "prepare_dataset": "dataset shards",
    "train_classifier": "seed precision classifier",
    "compute_cams": "precision classifier.backbone classifier.output_stride cam.scales cam.flip",
    "import_cams": "cam.source cam.folder",
    "label_confident": "confident dense_crf",
    "train_affinitynet": "seed precision affinitynet confident.pooling",
    "compute_affinities": "precision affinitynet.backbone affinitynet.output_stride affinitynet.input_scale "
    "affinitynet.normalization affinitynet.radius affinitynet.border affinity.flip",
    "compute_boundary_affinities": "affinity.boundaries affinitynet.input_scale affinitynet.radius",
    "random_walk": "random_walk dense_crf",
    "sweep_random_walk": "sweep.alphas sweep.constants sweep.ts random_walk.tolerance "
    "random_walk.normalize_by",
    "rank_sweep": "",
    "plot_sweep": "",
    "train_segmenter": "seed precision segmenter",
    "compute_segmentation": "precision segmenter.backbone segmenter.output_stride segmenter.name segmentation dense_crf",
    "export_masks": "",
    "score_classifier": "precision",
    "score_cams": "confident.refine random_walk.refine dense_crf",
    "score_confident": "",
    "score_affinities": "affinitynet.input_scale affinitynet.radius affinitynet.border random_walk",
    "score_random_walk": "",
    "score_segmentation": "",
    "plot_scores": "",
    "plot_history": "",
    "plot_train_gallery": "precision segmentation dense_crf report",
    "plot_val_gallery": "report",
    "voc_submission": "",
    "write_tables": "cam random_walk segmentation",
}

# A key, a value of it, and the keys of the same section that then have no effect: they are left out.
_IDLE: tuple[tuple[str, object, tuple[str, ...]], ...] = (
    ("background", "power", ("foreground_threshold", "background_threshold")),
    ("background", "constant", ("low_alpha", "high_alpha")),
    ("normalize", False, ("normalize_by",)),
)


def section_params(study: Study, rule: str) -> dict[str, Any]:
    """The part of the configuration that a rule's result depends on, by section, as plain JSON values.

    Order and types are fixed (`8` and `8.0` in YAML give the same), so that Snakemake, which compares
    representations, sees a change exactly where there is one.

    Raises:
        ValueError: If no such rule is known.
    """
    if rule not in _USED:
        raise ValueError(
            f"rule {rule!r}: wsss/config/params.py does not say what it uses{did_you_mean(rule, _USED)}"
        )
    settings = study.model_dump(mode="json")
    params: dict[str, Any] = {}
    for path in _USED[rule].split():
        section, _, key = path.partition(".")
        if key:
            params.setdefault(section, {})[key] = settings[section][key]
        else:
            params[section] = settings[section]
    if not any(part.get("refine") == "dense_crf" for part in params.values() if isinstance(part, dict)):
        params.pop("dense_crf", None)
    return {section: _effective(part) for section, part in params.items()}


def _effective(part: Any) -> Any:
    """A section without the keys that have no effect at the values of others."""
    if not isinstance(part, dict):
        return part
    idle = {name for key, value, names in _IDLE if part.get(key) == value for name in names}
    return {key: value for key, value in part.items() if key not in idle}
