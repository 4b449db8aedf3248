"""``.safetensors`` files: names and tensors, with a header whose sizes the library checks."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from wsss.models.prefixes import unwrapped

FACTS = {"suffixes": (".safetensors",)}


def is_safetensors(path: Path) -> bool:
    """Tell by the first bytes: the length of a header, and the header's brace."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict.

    Raises:
        ValueError: if the file is damaged or of another kind.
    """
    if not is_safetensors(path):
        raise ValueError(f"weights: {path}: no safetensors file; PyTorch's own are called `.pth`")
    try:
        return {unwrapped(key): value for key, value in load_file(path).items()}
    except Exception as error:  # on damaged bytes that may be anything
        raise ValueError(f"weights: {path}: not a readable safetensors file: {error}") from error
