"""Reading files that people and other programs hand over: regular ones only, of a bounded size.

Opening a pipe waits for a writer, perhaps for ever, and a device such as `/dev/zero` has no end. Links are
followed, and what they lead to counts.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 30
"""Larger files are not read at once, unless the caller knows better."""


def irregular(path: Path) -> str | None:
    """Say why a path is no regular file, or a link to one; None if it is."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            return f"a link to {os.readlink(path)}, which is not there"
        return error.strerror
    if stat.S_ISDIR(mode):
        return "Is a directory"
    return None if stat.S_ISREG(mode) else "a device, pipe or socket, expected a regular file"


def regular_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """Read a file whole, after a look at what it is and how large.

    Raises:
        ValueError: It is a device, pipe or socket, or has more bytes than `most`; the message names it.
        OSError: It cannot be read, as a folder or a file that is not there.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path}: {irregular(Path(path))}")
    if status.st_size > most and stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: {status.st_size:,} bytes, expected at most {most:,}")
    return Path(path).read_bytes()


def regular_text(path: Path | str, most: int = MOST_BYTES, *, marked: bool = False) -> str:
    """Read a text in UTF-8 as `regular_bytes` does; `marked` takes off a byte order mark.

    Raises:
        ValueError: As `regular_bytes`, or with the line that is not UTF-8.
        OSError: As `regular_bytes`.
    """
    content = regular_bytes(path, most)
    try:
        return content.decode("utf-8-sig" if marked else "utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise ValueError(f"{path}:{line}: {wrong}, save the file in this encoding") from error
