"""Threads, seeds and memory of this process.

A job without networks or tensors does not load PyTorch, which takes longer than most such jobs. So
PyTorch's own settings are made only where it is loaded, which scripts do at their start.
"""

from __future__ import annotations

import random
import resource
import sys
from types import ModuleType

import numpy as np

_MEBIBYTE = 2**20


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python and NumPy, and PyTorch's, those of GPUs too, if it is loaded."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries may use it
    if torch := _loaded_torch():
        torch.manual_seed(seed)


def set_threads(threads: int) -> None:
    """Set the number of CPU threads, at least one, that PyTorch computes on if it is loaded."""
    if torch := _loaded_torch():
        torch.set_num_threads(max(1, threads))


def peak_memory_mb() -> float:
    """Return the peak memory of this process in MiB: resident on the host plus allocated on its GPU.

    Child processes are not counted.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    torch = _loaded_torch()
    gpu = torch.cuda.max_memory_allocated() if torch and torch.cuda.is_available() else 0
    return round((host + gpu) / _MEBIBYTE, 1)


def _loaded_torch() -> ModuleType | None:
    return sys.modules.get("torch")
