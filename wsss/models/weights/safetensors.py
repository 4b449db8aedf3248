"""``.safetensors`` files: names and tensors, with a header whose sizes the library checks."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from wsss.models.prefixes import unwrapped

FACTS = {"suffixes": (".safetensors",)}


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Raises:
        ValueError: if the file is damaged or of another kind.
    """
    try:
        return {unwrapped(key): value for key, value in load_file(path).items()}
    except Exception as error:  # on damaged bytes that may be anything
        raise ValueError(f"weights: {path}: not a readable safetensors file: {error}") from error
