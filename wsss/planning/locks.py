"""Who locked the results of a working directory: a Snakemake that runs, or one that was killed.

Snakemake's lock only says that there is one. The Snakefile writes down whose it is when a run starts, so that
`wsss run` can clear the lock of a process that no longer exists.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import NamedTuple

from wsss.study.temporary import remove_abandoned, temporary_path

LOCKS = Path(".snakemake", "locks")
OWNER = Path(".snakemake", "wsss_owner.json")


class Owner(NamedTuple):
    """A process that runs the workflow: its machine and its number there."""

    host: str
    pid: int


def clean(results: Path | str) -> None:
    """Remove what killed runs left unfinished in a folder of results, and say how many files that were."""
    if removed := remove_abandoned(results):
        count = "an unfinished file" if len(removed) == 1 else f"{len(removed)} unfinished files"
        print(f"Removed {count} of a run that was killed.")


def note_owner() -> None:
    """Write down that this process runs the workflow in the working directory."""
    OWNER.parent.mkdir(exist_ok=True)
    temporary = temporary_path(OWNER)
    temporary.write_text(json.dumps(Owner(socket.gethostname(), os.getpid())._asdict()), encoding="utf-8")
    os.replace(temporary, OWNER)


def is_locked() -> bool:
    """Whether Snakemake has locked the working directory."""
    return LOCKS.is_dir() and any(LOCKS.iterdir())


def owner() -> Owner | None:
    """The process that last ran the workflow in the working directory, if it is known."""
    try:
        found = json.loads(OWNER.read_text(encoding="utf-8"))
        return Owner(str(found["host"]), int(found["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def owner_is_dead() -> bool:
    """Whether the lock can be cleared: its owner ran on this machine, and no Snakemake works here any more.

    False in case of doubt, as on a machine that does not say what its processes are.
    """
    last = owner()
    if last is None or last.host != socket.gethostname() or not Path("/proc/self/cwd").exists():
        return False
    return not running_here()


def running_here() -> list[int]:
    """The numbers of this machine's processes that work on the workflow in the working directory.

    These are Snakemakes and their jobs, which live on for a while when Snakemake is killed, and processes of
    others that may be either. This process is left out.
    """
    found = (process for process in Path("/proc").glob("[0-9]*") if _runs_snakemake_here(process))
    return sorted(int(process.name) for process in found)


def _runs_snakemake_here(process: Path) -> bool:
    try:
        words = process.joinpath("cmdline").read_bytes().split(b"\0")
        if int(process.name) == os.getpid() or not any(b"snakemake" in word for word in words):
            return False
        return process.joinpath("cwd").resolve(strict=True) == Path.cwd()
    except PermissionError:
        return True  # another person's Snakemake: perhaps here
    except OSError:
        return False  # it has just ended
