"""Where and when a study was made, for the captions of its pictures."""

from __future__ import annotations

import platform
from pathlib import Path

from PIL import Image, PngImagePlugin

from wsss.results import replacing
from wsss.study.provenance import read_manifest


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Name the processor of this machine, as the system does."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def origin(manifest: Path, machine: str) -> str:
    """Say what made an artifact, from its manifest.

    Args:
        manifest: `<artifact>.json`.
        machine: on which the study was run, which the manifest does not know.

    Raises:
        ValueError: there is no such manifest.
    """
    if (made := read_manifest(manifest)) is None:
        raise ValueError(f"{manifest}: no such file; expected the manifest of a finished study")
    day, threads = made.created.partition("T")[0], made.threads
    share = f", {threads} threads" if threads else ""
    return f"{machine}{share}, PyTorch {made.versions['torch']}, {day}"


def note(path: Path, text: str) -> None:
    """Write where a picture comes from into it, as the text `Description` of a PNG."""
    with Image.open(path, formats=["PNG"]) as image:
        image.load()
    described = PngImagePlugin.PngInfo()
    described.add_text("Description", text)
    with replacing(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=described, optimize=True)
