"""Writing the bundle of a trained network: its tensors, what is needed to use it, and a model card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wsss import __version__
from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.models.bundles import input_normalization, parameter_count
from wsss.models.checkpoints import Restored
from wsss.results import ArtifactError
from wsss.results.bundles import write_facts, write_weights
from wsss.stages.bundle.card import model_card
from wsss.study.bundle import (
    FORMAT,
    AffinityNetBundle,
    ClassifierBundle,
    Provenance,
    SegmenterBundle,
)
from wsss.study.params import BundleAffinityNet, BundleClassifier, BundleSegmenter
from wsss.study.provenance import read_manifest

Params = BundleClassifier | BundleAffinityNet | BundleSegmenter

_KINDS: Mapping[type[Params], type[ClassifierBundle | AffinityNetBundle | SegmenterBundle]] = {
    BundleClassifier: ClassifierBundle,
    BundleAffinityNet: AffinityNetBundle,
    BundleSegmenter: SegmenterBundle,
}
_OF_PROVENANCE = ("name", "precision", "rounds")


def write_bundle(
    folder: Path,
    trained: Restored[Any, Any],
    params: Params,
    provenance: Provenance,
    scores: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write `weights.safetensors`, `README.md` and, last, `model.json`; the same bytes for the same network.

    Args:
        folder: of the bundle.
        trained: the network, its section and class names.
        params: how the study uses the network.
        provenance: what made it.
        scores: content of `scores/<artifact>.json` by artifact, for the model card.
    """
    digest = write_weights(folder, trained.network.state_dict())
    bundle = _KINDS[type(params)](
        format=FORMAT,
        section=trained.section,
        class_names=trained.class_names,
        value_names=value_names(trained.class_names),
        normalization=input_normalization(trained.network),
        precision=params.precision,
        weights_digest=digest,
        provenance=provenance,
        **{name: getattr(params, name) for name in type(params).model_fields if name not in _OF_PROVENANCE},
    )
    write_facts(folder, bundle, model_card(bundle, scores, parameter_count(trained.network)))


def provenance_of(
    study: str, manifest: Path, images: Manifest, corrected_masks: int = 0, rounds: int = 1
) -> Provenance:
    """Say what made a network.

    Args:
        study: name of the study.
        manifest: of the network's checkpoint.
        images: of train.
        corrected_masks: how many images were trained on with a corrected mask.
        rounds: number of rounds of pseudo masks.

    Raises:
        DamagedError: the manifest is damaged.
        ArtifactError: it is none.
    """
    made = read_manifest(manifest)
    if made is None:
        raise ArtifactError(f"{manifest}: expected the manifest of a checkpoint")
    counts = Counter(label for row in images for label in row.labels)
    return Provenance(
        study=study,
        wsss=__version__,
        code=blake2b(repr(sorted(made.code.items())).encode(), digest_size=16).hexdigest(),
        inputs=made.inputs,
        seed=made.seed,
        versions=made.versions,
        training_images=len(images),
        training_images_of_class={name: counts[index] for index, name in enumerate(images.class_names)},
        corrected_masks=corrected_masks,
        rounds=rounds,
    )
