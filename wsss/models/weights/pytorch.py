"""PyTorch's files of tensors, ``.pth`` and others: state dicts, and checkpoints that hold one."""

from __future__ import annotations

import logging
import re
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsss.models.prefixes import unwrapped
from wsss.models.weights import safetensors
from wsss.models.weights.safetensors import is_safetensors

logger = logging.getLogger(__name__)

FACTS = {"suffixes": (".pth", ".pt", ".bin", ".ckpt")}

USUAL = (
    "state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "teacher", "encoder",
    "backbone", "model_ema", "state_dict_ema", "ema",
)  # fmt: skip
"""Keys under which checkpoints keep a network's state dict, the likeliest first."""

DEPTH = 4
"""Levels of dictionaries that are looked into."""

SHOWN = 8
"""So many keys of a file that holds no state dict are named."""

HARMLESS: list[Any] = [Namespace, np.dtype, *{type(np.dtype(code)) for code in "?bBhHiIlLqQefd"}]
"""Classes, besides torch's own, whose objects checkpoints hold beside tensors: options and plain numbers."""


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict; code in the file is not run. One of safetensors is read by any name.

    Of several state dicts in a checkpoint it is the largest, of equal ones the one with the likeliest key.
    The words of wrappers are taken off the names of the entries.

    Raises:
        ValueError: if the file is damaged or holds anything else.
    """
    if is_safetensors(path):
        return safetensors.read(path)
    if wrong := _other_archive(path):
        raise ValueError(f"weights: {path}: {wrong}")
    content = _load(path)
    states = list(_states(content, ()))
    if not states:
        found = f"a {type(content).__name__}"
        if isinstance(content, Mapping):
            found += f" with the keys {', '.join(map(repr, list(content)[:SHOWN]))}"
        raise ValueError(f"weights: {path}: expected a state dict (names and tensors), found {found}")
    keys, state = max(states, key=lambda found: (len(found[1]), -_rank(found[0])))
    if alike := [
        ".".join(found) for found, other in states if other.keys() == state.keys() and found != keys
    ]:
        logger.warning(
            "weights: %s: holds several networks: %s is used, %s not", path, ".".join(keys), ", ".join(alike)
        )
    return {unwrapped(key): value for key, value in state.items()}


def _other_archive(path: Path) -> str | None:
    """Say what a zip archive is that holds no tensors of PyTorch's; None for those, and other files."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\3\4":
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError):
        return "cut short or damaged: the end of the archive is missing"
    names = [member.filename for member in members]
    if sum(member.file_size for member in members) > path.stat().st_size:
        return "claims more bytes than it has, or is compressed, which files of torch.save are not"
    if any(name.endswith(".npy") for name in names):
        return "arrays of numpy's, expected tensors: save a state dict with torch.save or as safetensors"
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program, expected tensors: save the network's `state_dict()` alone"
    return None


def _load(path: Path) -> Any:
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    try:
        allowed = [*HARMLESS, *[(scalar, name) for name in names]]
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged bytes that may be anything
        raise ValueError(f"weights: {path}: not a readable file of tensors: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what matters of torch's message, which has a page of advice to run the code in a file."""
    text = str(error)
    if asked := re.search(r"GLOBAL ([\w.]+)", text):
        return f"it holds an object of {asked[1]}; save the network's `state_dict()` alone"
    if "Weights only load failed" in text:
        return "it holds other objects than tensors; save the network's `state_dict()` alone"
    return next(iter(text.strip().splitlines()), type(error).__name__)


def _states(content: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Yield the tensors of a dictionary that have names, and those of the dictionaries in it."""
    if not isinstance(content, Mapping) or len(keys) > DEPTH:
        return
    tensors = {
        key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    if tensors:
        yield keys, tensors
    for key, value in content.items():
        if isinstance(key, str) and "optim" not in key:
            yield from _states(value, (*keys, key))


def _rank(keys: tuple[str, ...]) -> int:
    return sum(USUAL.index(key) if key in USUAL else len(USUAL) for key in keys)
