"""Full disks, named as such: which file, how much it takes, how much is free."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "the file would be larger than the system allows (ulimit -f, or the file system's limit)",
}
_NEXT_TO_NOTHING = 65536
"""Bytes; with fewer free, a writer that failed for no reason of its own has failed for that."""


class DiskFullError(ValueError):
    """There is no room on a disk; the message names the file, and says how much it takes and what is free."""


@contextmanager
def naming_full_disk(path: Path, written: Path | None = None, size: int | None = None) -> Iterator[None]:
    """Turn what a writer raises when the disk is full into a `DiskFullError`.

    Writers tell it in many ways: an `OSError` without a path, a `RuntimeError` of PyTorch, one of HDF5.

    Args:
        path: the file that is written, or the folder of nameless ones.
        written: where its beginning lies, by default there.
        size: bytes that it takes, if that is known.
    """
    try:
        yield
    except Exception as error:
        reason = _full(path, error)
        if reason is None:
            raise
        done = _size(written or path)
        needed = f"{size / 1e6:.1f} MB" if size else f"more than the {done / 1e6:.1f} MB that were written"
        raise DiskFullError(
            f"{path}: {reason}. It takes {needed}, and without that {(_free(path) + done) / 1e6:.1f} MB are "
            f"free in {_folder(path)}. Make room, and run the same command again"
        ) from error


def _full(path: Path, error: Exception) -> str | None:
    """Say what is full, if an error comes from that."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for number, reason in _FULL.items():
        told = (os.strerror(number) in str(link) or getattr(link, "errno", 0) == number for link in chain)
        if any(told):
            return reason
    if isinstance(error, (OSError, RuntimeError)) and not isinstance(error, FileNotFoundError):
        return _FULL[errno.ENOSPC] if _free(path) < _NEXT_TO_NOTHING else None
    return None


def _folder(path: Path) -> Path:
    """The folder of a file, or the nearest one above it that is there."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path())


def _free(path: Path) -> int:
    return shutil.disk_usage(_folder(path)).free


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def temporary_folder() -> Path:
    """The folder for temporary files, that of the environment variable TMPDIR if it is set.

    Raises:
        DiskFullError: it is full. Python would take another one, where no other process looks.
    """
    named = os.environ.get("TMPDIR")
    try:
        found = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        reason = f"no room for temporary files: {error.strerror}"
        raise DiskFullError(f"{reason}; make room, or set TMPDIR") from error
    if named and Path(named).is_dir() and found != Path(named).absolute():
        free = _free(Path(named))
        if free < _NEXT_TO_NOTHING:
            raise DiskFullError(
                f"{named}: {_FULL[errno.ENOSPC]}. Temporary files take at least {_NEXT_TO_NOTHING / 1e6:.1f} "
                f"MB, {free / 1e6:.1f} MB are free. Make room, or set TMPDIR to a folder on another disk"
            )
    return found
