"""File locks between the processes of one user; the kernel releases those of a process that dies."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Hold the lock `name` if it is free; yield whether it was."""
    descriptor = os.open(_folder() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: forked workers hold it open too
        os.close(descriptor)


@contextmanager
def first_free(names: Sequence[str], pause: Callable[[float], None] = time.sleep) -> Iterator[int]:
    """Hold the first free lock of `names` and yield its index; look again every second till there is one."""
    waiting = False
    while True:
        for index, name in enumerate(names):
            with try_lock(name) as free:
                if free:
                    yield index
                    return
        if not waiting:
            logger.info("waiting: other jobs hold %s", ", ".join(names))
        waiting = True
        pause(1.0)


def _folder() -> Path:
    """Folder for this user's locks; nobody else may own it, or they could hold the locks."""
    folder = Path(tempfile.gettempdir()) / f"wsss-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder}: expected a folder that belongs to user {os.getuid()}; set TMPDIR")
    return folder
