"""Writing a file whole or not at all, and refusing what was not written that way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.runtime.disk import naming_full_disk
from wsss.study.temporary import temporary_path

_ONE, _MINUS_ZERO = np.array([1.0, -0.0], np.float16).view(np.uint16)


class ArtifactError(ValueError):
    """A result file is truncated, foreign or holds what it may not; the message names the file."""


@contextmanager
def replacing(path: str | Path, size: int | None = None) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it takes the place of `path` in one step.

    Whatever interrupts the body, `path` keeps its old content or stays absent. An exception removes the
    temporary file; after SIGKILL it stays behind as a hidden `.part` file, which no pattern for results
    matches and the next run removes. Missing folders are made. The temporary name does not end like `path`,
    so a writer that guesses the format from the name must be told it.

    Args:
        path: the file.
        size: bytes that it takes, if that is known.

    Raises:
        DiskFullError: there is no room for it, whatever the writer made of that.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        with naming_full_disk(path, temporary, size):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # some network file systems cannot sync a folder
        _flush_to_disk(path.parent)


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what a parser raises, and on damaged data that may be anything, into an `ArtifactError`."""
    try:
        yield
    except (ArtifactError, FileNotFoundError, PermissionError, IsADirectoryError, MemoryError):
        raise
    except Exception as error:
        raise ArtifactError(f"{path}: truncated, damaged or not a file of this kind ({error})") from error


def in_unit_interval(values: NDArray[np.float16]) -> bool:
    """Tell whether all values are in [0, 1]; false for nan.

    Non-negative float16 numbers are ordered like their bits, and the bits of negative ones and nan are larger
    than those of 1: comparing integers is 40 times as fast as comparing float16.
    """
    bits = values.view(np.uint16)
    return bool(((bits <= _ONE) | (bits == _MINUS_ZERO)).all())


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
