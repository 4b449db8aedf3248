"""Checkpoints: dictionaries of tensors and plain Python values that load without unpickling code."""

from __future__ import annotations

from collections.abc import Mapping
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from wsss.results.files import ArtifactError, refusing, replacing

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_PLAIN = (str, int, float, bool, type(None))


def save_checkpoint(path: str | Path, content: Mapping[str, Any]) -> None:
    """Save tensors (copied to the CPU) and plain values, nested in dicts, lists and tuples.

    The same content gives the same bytes. Raises `ArtifactError` naming the key of anything else, before it
    writes.
    """
    plain = _on_cpu(content, str(path))
    # Given a path, torch would store the temporary file's name in the file.
    with replacing(path, _bytes(plain)) as temporary, _Writer(FileIO(temporary, "wb")) as file:
        try:
            torch.save(plain, file)
        except RuntimeError as error:  # PyTorch says "unexpected pos" of a full disk
            raise file.failed or error from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Load a checkpoint onto the CPU with `weights_only=True`.

    Raises `ArtifactError` naming the file when it is truncated, foreign or holds anything that runs code.
    """
    path = Path(path)
    with refusing(path):
        content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise ArtifactError(
            f"{path}: holds a {type(content).__name__}, expected a dict of tensors and plain values"
        )
    return content


class _Writer(BufferedWriter):
    """Remembers why a write failed."""

    failed: OSError | None = None

    def write(self, data: Buffer) -> int:
        """Write all of it."""
        try:
            return super().write(data)
        except OSError as error:
            self.failed = error
            raise


def _on_cpu(value: Any, where: str) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()  # a clone: a view would take its whole storage along
    if isinstance(value, Mapping):
        return {key: _on_cpu(item, f"{where}: {key}") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_on_cpu(item, f"{where}[{index}]") for index, item in enumerate(value))
    if type(value) not in _PLAIN:  # subclasses such as numpy.float64 would not load again
        raise ArtifactError(f"{where}: is a {type(value).__name__}, expected tensors and plain values")
    return value


def _bytes(value: Any) -> int:
    """Bytes of all tensors in a nested value."""
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(_bytes, value.values()))
    return sum(map(_bytes, value)) if isinstance(value, list | tuple) else 0
