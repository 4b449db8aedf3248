"""What surrounds every stage: device, seeds, threads, logging, progress and the manifest of what it made."""

from wsss.runtime.console import configure_logging, progress
from wsss.runtime.devices import (
    autocast,
    device,
    gpu_slot,
    peak_memory_mb,
    seed_everything,
    set_threads,
    worker_count,
)
from wsss.runtime.stage import Stage

__all__ = [
    "Stage",
    "autocast",
    "configure_logging",
    "device",
    "gpu_slot",
    "peak_memory_mb",
    "progress",
    "seed_everything",
    "set_threads",
    "worker_count",
]
