"""Bundles: folders with a trained network's tensors, `model.json`, which says how to use it, and its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from wsss.results.files import ArtifactError, refusing, replacing, write_text
from wsss.results.records import write_json
from wsss.study.bundle import Bundle, parse_bundle
from wsss.study.provenance import file_digest, sealed, unsealed

WEIGHTS, FACTS, CARD = "weights.safetensors", "model.json", "README.md"
"""Names of the files of a bundle."""

_LARGEST_FACTS = 4_000_000
"""Bytes of a `model.json`; ours have some ten thousand."""


def write_weights(folder: Path, state: Mapping[str, Tensor]) -> str:
    """Write the tensors of a bundle, the same bytes for the same tensors; return the digest of the file."""
    with replacing(folder / WEIGHTS) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, temporary)
    return file_digest(folder / WEIGHTS)


def write_facts(folder: Path, bundle: Bundle, card: str) -> None:
    """Write the model card and, last, `model.json`, with the digests of the weights and of itself."""
    write_text(folder / CARD, card)
    write_json(folder / FACTS, sealed(bundle.model_dump(mode="json")))


def read_bundle(folder: str | Path) -> tuple[Bundle, dict[str, Tensor]]:
    """Read a bundle: what `model.json` says, and the state dict, on the CPU. Nothing is unpickled.

    Raises:
        ArtifactError: a file is missing, damaged or from elsewhere; the message names it, and the key.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        raise ArtifactError(f"{folder}: {found}, expected a bundle: a folder with {FACTS} and {WEIGHTS}")
    if missing := [name for name in (FACTS, WEIGHTS) if not (folder / name).is_file()]:
        raise ArtifactError(f"{folder}: no bundle, {' and '.join(missing)} missing")
    bundle = _facts(folder / FACTS)
    weights = folder / WEIGHTS
    if file_digest(weights) != bundle.weights_digest:
        raise ArtifactError(f"{weights}: damaged, or not the weights that {folder / FACTS} describes")
    with refusing(weights):
        return bundle, load_file(weights)


def _facts(path: Path) -> Bundle:
    if (size := path.stat().st_size) > _LARGEST_FACTS:
        raise ArtifactError(f"{path}: {size:,} bytes, expected at most {_LARGEST_FACTS:,}")
    with refusing(path):
        values = json.loads(path.read_text(encoding="utf-8"))
    try:
        return parse_bundle(unsealed(values) if isinstance(values, dict) else values)
    except ValueError as error:
        raise ArtifactError(f"{path}: {error}") from error
