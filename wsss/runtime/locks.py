"""File locks between the processes of one user. The kernel releases the locks of a process that dies."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from wsss.runtime.disk import naming_full_disk, temporary_folder

logger = logging.getLogger(__name__)


@contextmanager
def try_lock(name: str) -> Iterator[bool]:
    """Hold the lock `name` if it is free; yield whether it was.

    Each call opens the file anew, so threads and nested calls of one process exclude each other too.

    Raises:
        PermissionError: The folder of the locks belongs to another user.
    """
    lock = FileLock(_folder() / name, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def first_free(names: Sequence[str], pause: Callable[[float], None] = time.sleep) -> Iterator[int]:
    """Hold the first free lock of `names` and yield its index; while none is free, retry every second.

    Args:
        names: Names of the locks, in order of preference.
        pause: Waits for a number of seconds between two attempts.
    """
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
    """Folder of this user's locks. Another owner could hold the locks forever, so that is refused."""
    folder = temporary_folder() / f"wsss-{os.getuid()}"
    with naming_full_disk(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder}: expected a folder that belongs to user {os.getuid()}; set TMPDIR")
    return folder
