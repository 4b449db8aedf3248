"""Names of files that are not finished, and what processes that were killed have left of them.

A name says on which machine which process writes, so that what a dead one left can be told from what a living
one writes.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path

_NAME = re.compile(r"\..*\.(?P<place>[0-9a-f]{12})-(?P<pid>\d+)-[0-9a-f]{8}\.part")
_LONGEST_STEM = 40


def temporary_path(path: Path) -> Path:
    """A hidden name beside a file for what shall take its place, which no pattern for results matches.

    The name is cut: long ones would be longer than the 255 bytes that file systems allow.
    """
    token = secrets.token_hex(4)
    return path.with_name(f".{path.name[:_LONGEST_STEM]}.{this_place()}-{os.getpid()}-{token}.part")


def remove_abandoned(folder: Path | str) -> list[Path]:
    """Remove the unfinished files in a folder and its sub-folders that dead processes of this machine left.

    Those of other machines and containers stay, as nobody here can tell whether their processes live.

    Returns:
        What was removed.
    """
    removed = []
    for parent, _, names in os.walk(folder):
        for name in names:
            found = _NAME.fullmatch(name)
            if found and found["place"] == this_place() and not _lives(int(found["pid"])):
                with suppress(OSError):
                    os.unlink(os.path.join(parent, name))
                    removed.append(Path(parent, name))
    return removed


@cache
def this_place() -> str:
    """A digest of the machine's name, and of the container in which numbers of processes count."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return blake2b(f"{socket.gethostname()} {processes}".encode(), digest_size=6).hexdigest()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # another user's, or no number of a process at all
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Whether a process is dead, and only its parent has not asked yet how it ended."""
    try:
        state = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in (b"Z", b"X")
