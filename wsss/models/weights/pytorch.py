"""PyTorch's files of tensors, ``.pth`` and others: state dicts, and checkpoints that hold one."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

FACTS = {"suffixes": (".pth", ".pt", ".bin", ".ckpt")}

#: Keys under which checkpoints keep the network's state dict.
NESTED = ("model", "state_dict")
#: DataParallel puts it before all names.
PARALLEL = "module."
#: So many keys of a file that holds no state dict are named.
SHOWN = 8


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict; code in the file is not run.

    Raises:
        ValueError: if the file is damaged or holds anything else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(f"weights: {path}: not a readable file of tensors: {error}") from error
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(map(_is_entry, content.items())):
        found = f"a {type(content).__name__}"
        if isinstance(content, Mapping):
            found += f" with the keys {', '.join(map(repr, list(content)[:SHOWN]))}"
        raise ValueError(f"weights: {path}: expected a state dict (names and tensors), found {found}")
    return {key.removeprefix(PARALLEL): value for key, value in content.items()}


def _is_entry(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)
