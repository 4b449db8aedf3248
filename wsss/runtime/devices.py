"""The device a stage computes on: GPU slots, precision, loading threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import get_args

import torch

from wsss.runtime.locks import first_free
from wsss.study.machine import CPU_DEVICES
from wsss.study.options import Precision

_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}
"""Linux's names of the x86 and Arm instruction sets that multiply bfloat16 natively."""

_MOST_WORKERS = 8


class DeviceError(ValueError):
    """A job asks for more devices than there are."""


def device() -> torch.device:
    """Return the current GPU, or the CPU if PyTorch sees no GPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def gpu_slots(count: int = 1) -> Iterator[tuple[torch.device, ...]]:
    """Hold ``count`` of the visible GPUs for this job, waiting while others hold them; the first is current.

    Yields the CPU where PyTorch sees no GPU. Snakemake counts GPUs but does not hand them out. Each GPU has a
    file lock named by its UUID, so jobs agree whatever `CUDA_VISIBLE_DEVICES` each of them sees; under SLURM
    those that a job was given are free at once. Jobs that need several take them one job at a time, or two
    of them could wait for each other forever. `CPU_DEVICES` has a CPU count as several.

    Raises:
        DeviceError: fewer are visible.
    """
    names = _device_names()
    if not names:
        yield (device(),)
        return
    if count > len(names):
        what = "GPUs" if torch.cuda.is_available() else f"devices by {CPU_DEVICES}"
        raise DeviceError(f"resources.gpu: got {count}, but PyTorch sees {len(names)} {what}")
    with ExitStack() as held:
        with first_free(["several-gpus"]) if count > 1 else nullcontext():
            indices = _take(held, names, count)
        if not torch.cuda.is_available():
            yield (torch.device("cpu"),) * count
            return
        torch.cuda.set_device(indices[0])
        yield tuple(torch.device("cuda", index) for index in indices)


@contextmanager
def gpu_slot() -> Iterator[torch.device]:
    """Hold one GPU, see `gpu_slots`."""
    with gpu_slots(1) as (only,):
        yield only


def _take(held: ExitStack, names: Sequence[str], count: int) -> list[int]:
    """Lock ``count`` of ``names`` until ``held`` closes; return their indices, ascending."""
    indices: list[int] = []
    while len(indices) < count:
        others = [index for index in range(len(names)) if index not in indices]
        indices.append(others[held.enter_context(first_free([names[index] for index in others]))])
    return sorted(indices)


def require_determinism() -> None:
    """Have PyTorch compute the same each time, or refuse an operation that cannot, with its name.

    To be called before the first use of a GPU. The number of threads is another matter, see `Compute`.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is refused
    torch.use_deterministic_algorithms(True)
    # Filling memory before its first use would show errors, and takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the autocast context in which networks run.

    Args:
        device: CPU or GPU.
        precision: "float32", "bfloat16", or "auto": bfloat16 on devices that multiply it natively, which are
            CPUs with AMX or AVX-512 BF16 and NVIDIA GPUs since Ampere.

    Raises:
        ValueError: Another precision was given.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision: got {precision!r}, allowed 'auto', 'float32' or 'bfloat16'")
    wanted = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


@cache
def multiplies_bfloat16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether a device multiplies bfloat16 natively; False for a CPU without `cpuinfo`, as on macOS."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not cpuinfo.exists():
        return False
    with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())


def worker_count(threads: int) -> int:
    """Number of loading threads for a job of `threads` threads: at most one per core, at most 8."""
    return max(1, min(threads, _cores(), _MOST_WORKERS))


def _device_names() -> list[str]:
    """Names of the locks of all devices; none where the CPU is one that all jobs share."""
    if torch.cuda.is_available():
        return [_gpu_name(index) for index in range(torch.cuda.device_count())]
    count = os.environ.get(CPU_DEVICES, "0")
    if not count.isdecimal():
        raise DeviceError(f"{CPU_DEVICES}: got {count!r}, expected a number of devices")
    return [f"cpu-{index}" for index in range(int(count))]


def _gpu_name(index: int) -> str:
    properties = torch.cuda.get_device_properties(index)
    return f"gpu-{getattr(properties, 'uuid', index)}"


def _cores() -> int:
    """Number of cores that this process may use, which SLURM and taskset can limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
