"""A state dict from a file of any framework, by the reader that the file's suffix selects."""

from __future__ import annotations

import struct
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from wsss.study.registry import weights_reader

FIRST_BYTES = 64
"""So many tell what a file is."""


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file, with the reader that its suffix selects.

    Raises:
        ValueError: if the file is missing, damaged, or holds anything else.
    """
    if not path.is_file():
        raise ValueError(f"weights: {path}: no such file (allowed: 'none', 'imagenet' or a path)")
    if wrong := _no_weights(path):
        raise ValueError(f"weights: {path}: {wrong}")
    reader = weights_reader(str(path))
    assert reader is not None  # a path always has one
    try:
        state = dict(import_module(reader).read(path))
    except (ArithmeticError, LookupError, MemoryError, TypeError, struct.error) as error:  # damaged bytes
        raise ValueError(f"weights: {path}: damaged: {type(error).__name__}: {error}") from error
    for key, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"weights: {path}: {key} has values that are no numbers (NaN) or infinite")
    return state


def _no_weights(path: Path) -> str | None:
    """Say what a file is that is called like weights and holds none, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(FIRST_BYTES)
    if not start:
        return "the file is empty"
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "a web page, expected weights: its download has failed"
    if start.startswith(b"version https://git-lfs"):
        return "Git has left a pointer here, expected weights: `git lfs pull` fetches them"
    return None
