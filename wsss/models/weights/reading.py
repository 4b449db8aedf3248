"""A state dict from a file of any framework, by the reader that the file's suffix selects."""

from __future__ import annotations

import struct
from importlib import import_module
from pathlib import Path

from torch import Tensor

from wsss.study.registry import weights_reader


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file, with the reader that its suffix selects.

    Raises:
        ValueError: if the file is missing, damaged, or holds anything else.
    """
    if not path.is_file():
        raise ValueError(f"weights: {path}: no such file (allowed: 'none', 'imagenet' or a path)")
    reader = weights_reader(str(path))
    assert reader is not None  # a path always has one
    try:
        return dict(import_module(reader).read(path))
    except (ArithmeticError, LookupError, MemoryError, TypeError, struct.error) as error:  # damaged bytes
        raise ValueError(f"weights: {path}: damaged: {type(error).__name__}: {error}") from error
