"""Where libraries keep what they compile or look up once, on machines that cannot write where they would.

The home of a cluster's node is often read-only, or not there. Snakemake does not start then, numba refuses
what it should compile, and matplotlib and Triton begin anew in every job.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(".snakemake", "caches")
"""Beside the results, in the working directory, which all nodes see and can write."""


def cache_folders(environment: Mapping[str, str] | None = None, *, elsewhere: bool = False) -> dict[str, str]:
    """The environment variables that move caches into the working directory: of those that must move.

    A variable that is set stays. Weights stay where they are, because a home that is read-only can be read.

    Args:
        environment: by default that of this process.
        elsewhere: for jobs on machines whose home is not known here. `XDG_CACHE_HOME` moves, without which
            Snakemake might not start there; the others follow there if they must.
    """
    given = os.environ if environment is None else environment
    home = Path(given.get("HOME") or Path.home())
    cache = Path(given.get("XDG_CACHE_HOME") or home / ".cache")
    places = {
        "NUMBA_CACHE_DIR": (Path(__file__).parents[1], cache / "numba"),
        "MPLCONFIGDIR": (Path(given.get("XDG_CONFIG_HOME") or home / ".config", "matplotlib"),),
        "TRITON_CACHE_DIR": (home / ".triton",),
        "CUDA_CACHE_PATH": (home / ".nv",),
        "XDG_CACHE_HOME": (cache,),
    }
    moved = {
        variable: str(Path(FOLDER, variable.partition("_")[0].lower()).absolute())
        for variable, usual in places.items()
        if (elsewhere and variable == "XDG_CACHE_HOME") or not any(map(can_be_written, usual))
    }
    if "XDG_CACHE_HOME" in moved:  # below which they would look for weights
        moved |= {"TORCH_HOME": str(cache / "torch"), "HF_HOME": str(cache / "huggingface")}
    return {variable: folder for variable, folder in moved.items() if not given.get(variable)}


def can_be_written(path: Path) -> bool:
    """Whether a folder, or where it is not there yet the one in which it would be made, can be written."""
    there = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)
