"""A state dict from a file of any framework, by the reader that the file's suffix selects."""

from __future__ import annotations

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
        for key, value in state.items():
            if wrong := _no_plain_tensor(value):
                raise ValueError(f"weights: {path}: {key} {wrong}")
        return state
    except Exception as error:  # on damaged bytes that may be anything
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"weights: {path}: damaged: {type(error).__name__}: {error}") from error


def _no_plain_tensor(value: Tensor) -> str | None:
    """Say what is wrong with a tensor: its form, before anything is computed with it, or its values."""
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        return "is sparse, quantised or without values, expected a plain tensor"
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"claims the shape {tuple(value.shape)} for fewer values"
    if value.is_floating_point() and not torch.isfinite(value).all():
        return "has values that are no numbers (NaN) or infinite"
    return None


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
