"""The machine that a stage runs on: device, precision, threads, seeds, locks, logging and progress."""

from wsss.runtime.compute import Compute
from wsss.runtime.console import configure_logging, progress
from wsss.runtime.devices import (
    autocast,
    device,
    gpu_slot,
    gpu_slots,
    peak_memory_mb,
    seed_everything,
    set_threads,
    worker_count,
)

__all__ = [
    "Compute",
    "autocast",
    "configure_logging",
    "device",
    "gpu_slot",
    "gpu_slots",
    "peak_memory_mb",
    "progress",
    "seed_everything",
    "set_threads",
    "worker_count",
]
