"""Processes of one machine that work together, one on each device, and exchange tensors.

Each is started with a fresh interpreter (the start method "spawn"), because CUDA does not survive a fork.
"""

from __future__ import annotations

import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from logging import WARNING, getLogger
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from wsss.runtime.compute import Compute
from wsss.runtime.console import configure_logging, log_settings
from wsss.runtime.disk import temporary_folder
from wsss.runtime.this_process import set_threads

Item = TypeVar("Item")
Outcome = tuple[float, Exception | None]
"""When the work of a process ended, and what it raised."""

_TIMEOUT = timedelta(hours=2)  # of a collective; the parent notices sooner when a process fails
_GRACE_SECONDS = 10.0
_SETTLE_SECONDS = 5.0


class ProcessError(RuntimeError):
    """A process ended without an exception of its own, as one that runs out of memory does."""


def in_processes(work: Callable[..., None], compute: Compute, *arguments: Any) -> None:
    """Call ``work(compute, *arguments)`` once for each of ``compute.devices``, each in a process of its own.

    With one device, call it in this process. ``work`` and the arguments must be picklable. When one process
    fails, or this one is interrupted, all are stopped; none is left behind.

    Raises:
        ProcessError: a process was killed.
        Exception: what ``work`` raised in the process that failed first.
    """
    if compute.processes == 1:
        work(compute, *arguments)
        return
    pipes = [get_context("spawn").Pipe(duplex=False) for _ in compute.devices]
    receivers, senders = ([pipe[end] for pipe in pipes] for end in (0, 1))
    threads = torch.get_num_threads() // compute.processes
    with tempfile.TemporaryDirectory(prefix="wsss-", dir=temporary_folder()) as folder:
        shared = (f"file://{folder}/meeting", threads, log_settings(), senders)
        processes = start_processes(
            _run, (work, compute, arguments, *shared), compute.processes, join=False, daemon=True
        ).processes
        for sender in senders:
            sender.close()
        try:
            _wait(processes, receivers)
        finally:
            _stop(processes)


def process_count() -> int:
    """Return how many processes work together, 1 outside of `in_processes`."""
    return dist.get_world_size() if _together() else 1


def total(tensor: Tensor) -> Tensor:
    """Sum a tensor over all processes; takes no gradient."""
    if not _together():
        return tensor
    summed = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(summed)
    return summed


def share(items: Sequence[Item]) -> Sequence[Item]:
    """Return every n-th item, so that each of n processes gets others."""
    return items[dist.get_rank() :: dist.get_world_size()] if _together() else items


def joined(items: Sequence[Item]) -> list[Item]:
    """Gather what the processes made of their `share`, in the order of the whole."""
    if not _together():
        return list(items)
    parts: list[list[Item]] = [[] for _ in range(process_count())]
    dist.all_gather_object(parts, list(items))
    return [parts[index % len(parts)][index // len(parts)] for index in range(sum(map(len, parts)))]


def from_leader(value: Item) -> Item:
    """Return the value that the process of rank 0 has."""
    values = [value]
    if _together():
        dist.broadcast_object_list(values, src=0)
    return values[0]


def wait_for_all() -> None:
    """Return once every process has got here."""
    if _together():
        dist.barrier()


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def _run(
    rank: int,
    work: Callable[..., None],
    compute: Compute,
    arguments: tuple[Any, ...],
    meeting: str,
    threads: int,
    log: tuple[str | None, str],
    senders: Sequence[Connection],
) -> None:
    """Be the process of a rank, and tell the parent how it ended: when, and with which exception or None."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # which removes temporary files
    configure_logging(*log, mode="a")
    if rank > 0:
        getLogger().setLevel(WARNING)
    failure = None
    try:
        set_threads(threads)
        _join_group(compute.of_rank(rank), meeting)
        work(compute.of_rank(rank), *arguments)
        dist.destroy_process_group()
    except Exception as error:
        failure = _portable(error, rank)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to remove
    senders[rank].send((time.monotonic(), failure))


def _join_group(compute: Compute, meeting: str) -> None:
    on_gpu = compute.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(compute.device)
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=meeting,
        rank=compute.rank,
        world_size=compute.processes,
        timeout=_TIMEOUT,
        device_id=compute.device if on_gpu else None,
    )


def _portable(error: Exception, rank: int) -> Exception:
    """Note where an exception was raised, which pickling loses; describe one that cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = ProcessError(f"{type(error).__name__}: {error}")
    error.add_note(f"in the process of rank {rank}:\n{traceback.format_exc()}")
    return error


def _wait(processes: Sequence[BaseProcess], receivers: Sequence[Connection]) -> None:
    """Wait until all processes have done their work, or raise what the first one to fail says."""
    silent = dict(enumerate(receivers))
    while silent:
        sentinels = [processes[rank].sentinel for rank in silent]
        ready = connection.wait([*silent.values(), *sentinels])
        said = {rank: receiver.recv() for rank, receiver in silent.items() if receiver in ready}
        for rank in said:
            silent.pop(rank)
        failed = any(error is not None for _, error in said.values())
        ended = _ended([processes[rank] for rank in silent], _SETTLE_SECONDS if failed else 0.0)
        _raise_first(list(said.values()), processes)
        for rank in silent:
            if processes[rank] in ended and not silent[rank].poll():
                raise ProcessError(f"the process of rank {rank} of {len(processes)} ended before its work")
    for process in processes:
        process.join(_GRACE_SECONDS)


def _ended(processes: Sequence[BaseProcess], seconds: float) -> list[BaseProcess]:
    """Return the processes that have ended, or the first that do within this time, with their exit codes.

    The kernel closes the connections and the sentinel of a killed process before its exit code is there.
    """
    ready = connection.wait([process.sentinel for process in processes], seconds)
    ended = [process for process in processes if process.sentinel in ready]
    for process in ended:
        process.join(_SETTLE_SECONDS)
    return ended


def _raise_first(outcomes: Sequence[Outcome], processes: Sequence[BaseProcess]) -> None:
    """Raise the cause of a failure: after it the others fail too, because one no longer answers."""
    for rank, process in enumerate(processes):
        if process.exitcode is not None and process.exitcode < 0:
            name = signal.Signals(-process.exitcode).name
            raise ProcessError(f"the process of rank {rank} of {len(processes)} was ended by {name}")
    failed = [(moment, error) for moment, error in outcomes if error is not None]
    if failed:
        raise min(failed, key=lambda outcome: outcome[0])[1]


def _stop(processes: Sequence[BaseProcess]) -> None:
    """End those that still run: they are asked to, and killed if they do not."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        process.kill()
        process.join()
