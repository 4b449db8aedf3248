"""``.safetensors`` files: names and tensors, with a header whose sizes the library checks."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

FACTS = {"suffixes": (".safetensors",)}


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Raises:
        ValueError: if the file is damaged or of another kind.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"weights: {path}: not a readable safetensors file: {error}") from error
