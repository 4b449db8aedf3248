"""Unpacking archives: nothing lands outside the folder that it is meant for."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path, PurePosixPath

PERMISSIONS = 0o755
"""The most that a file of an archive gets: neither special bits nor write permission for others."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the files and folders of a tar archive, compressed or not; links and devices are left out.

    All names are looked at before the first file is written.

    Raises:
        ValueError: A name is absolute or leads out of the folder; the message names archive and member.
        tarfile.TarError: It is no tar archive, or cut short.
    """
    with tarfile.open(archive) as packed:
        members = [_plain(archive, member) for member in packed if member.isreg() or member.isdir()]
        packed.extractall(folder, members)


def _plain(archive: Path, member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member as one of this user's, whoever packed it."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
        raise ValueError(f"{archive}: {member.name!r} leads out of the folder, expected a path below it")
    member.mode = PERMISSIONS if member.isdir() else member.mode & PERMISSIONS
    member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
    return member
