"""What a workstation has, as far as its profile and the rules must know it, without loading PyTorch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from wsss.study.cluster import VARIABLE as CLUSTER

CPU_DEVICES = "WSSS_CPU_DEVICES"
"""Environment variable: as how many devices the CPU counts, to try a run on several without GPUs."""

MOST_THREADS = 8
"""Of one job: more do little for it."""

MANY = 1000
"""Of what limits no job."""


def gpu_slots_here(devices: Path = Path("/dev"), environment: Mapping[str, str] = os.environ) -> int:
    """How many jobs that ask for a GPU may run at once: one on each GPU, and any number where there is none.

    Args:
        devices: folder in which the driver of GPUs has a file for each.
        environment: in which GPUs can be left out.
    """
    if environment.get(CPU_DEVICES, "").isdigit():
        return int(environment[CPU_DEVICES]) or MANY
    found = [path for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    if not found:
        return 1 if (devices / "kfd").exists() else MANY
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(found)
    return len([name for name in visible.split(",") if name.strip()]) or MANY


def memory_mb() -> int:
    """The memory of this machine in MB, rounded down."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def slots_of_run() -> int:
    """How many shards of a stage may share the cores: one on a cluster, where each job has its own."""
    return 1 if CLUSTER in os.environ else gpu_slots_here()


def shard_threads(cores: int | None, shards: int, slots: int) -> int:
    """Threads of a job on one of a stage's shards.

    Networks that run side by side on a core each do more than one after the other on all cores. With a GPU
    they run one after the other, and the cores read images for them.

    Args:
        cores: of the run; None where it has no limit of its own.
        shards: jobs of the stage.
        slots: how many of them may run at once, see `slots_of_run`.
    """
    if cores is None or slots < shards:
        return MOST_THREADS
    return max(1, min(MOST_THREADS, cores // max(1, shards)))
