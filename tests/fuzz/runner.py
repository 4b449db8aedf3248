"""Reading damaged files in a child process, which may hang or be killed without ending the test."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch

from tests.fuzz.mutation import mutated

PATIENCE = 20
"""Seconds after which an input counts as a hang; all of them take milliseconds."""

MOST_MB = 512
"""Memory that reading one input may take, which is a few hundred kilobytes long at most."""

ADDRESS_SPACE = 6 << 30
"""Bytes that a child may map beyond what it starts with, so that a runaway ends before the machine does."""

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Target:
    """A reader, and valid files for it.

    Attributes:
        name: of the target.
        file: name of the file that is read.
        read: reads it; a `ValueError` that names the file is what a damaged one should give.
        seeds: makes the content of valid files, which `read` accepts, given a folder to work in.
    """

    name: str
    file: str
    read: Read
    seeds: Callable[[Path], Sequence[bytes]]


@dataclass
class Outcome:
    """How many inputs were read, how many of them were refused in a sentence, and what went wrong."""

    inputs: int = 0
    refused: int = 0
    unclean: list[str] = field(default_factory=list)


def fuzz(
    target: Target, folder: Path, seed: int, count: int, seconds: float = inf, patience: int = PATIENCE
) -> Outcome:
    """Have damaged files read, so many of them or for so many seconds.

    An unclean line has the number of its input, which `mutated(seeds, seed, number)` makes again.
    """
    context = multiprocessing.get_context("forkserver")  # which has no threads that a fork would lose
    context.set_forkserver_preload(["tests.fuzz.targets"])
    outcome, end = Outcome(), time.monotonic() + seconds
    while outcome.inputs < count and time.monotonic() < end:
        ours, theirs = context.Pipe(duplex=False)
        work = _Work(target, folder, seed, outcome.inputs, count, end, patience)
        child = context.Process(target=_read_all, args=(work, theirs))
        child.start()
        theirs.close()
        _gather(ours, outcome)
        child.join()
        if child.exitcode:
            how = "hangs" if child.exitcode == -signal.SIGALRM else f"ends the process ({child.exitcode})"
            outcome.unclean.append(f"{target.name} {outcome.inputs}: {how}")
            outcome.inputs += 1
    return outcome


class _Work(NamedTuple):
    """What a child does: read the inputs from `first` on, up to `count` of them or the moment `end`."""

    target: Target
    folder: Path
    seed: int
    first: int
    count: int
    end: float
    patience: int


def _gather(ours: Connection, outcome: Outcome) -> None:
    while True:
        try:
            refused, wrong = ours.recv()
        except EOFError:
            return
        outcome.inputs += 1
        outcome.refused += refused
        outcome.unclean += [wrong] if wrong else []


def _read_all(work: _Work, theirs: Connection) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a loop in C, too
    logging.disable()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_SPACE, mapped + ADDRESS_SPACE))
    target = work.target
    seeds = target.seeds(work.folder)
    path = work.folder / target.file
    for content in () if work.first else seeds:
        path.write_bytes(content)
        target.read(path)
    for number in range(work.first, work.count):
        path.write_bytes(mutated(seeds, work.seed, number))
        before = _peak_mb()
        signal.alarm(work.patience)
        refused, wrong = read_once(target.read, path)
        signal.alarm(0)
        if (taken := _peak_mb() - before) > MOST_MB:
            wrong = f"takes {taken} MB {wrong}".strip()
        theirs.send((refused, f"{target.name} {number}: {wrong}" if wrong else ""))
        if time.monotonic() > work.end:
            return


def read_once(read: Read, path: Path) -> tuple[bool, str]:
    """Read a file; return whether it was refused, and what is unclean about that, if anything is."""
    try:
        read(path)
    except ValueError as error:
        named = path.name in str(error) or path.parent.name in str(error)
        return True, "" if named else f"does not name the file: {type(error).__name__}: {error}"[:300]
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return True, f"{type(error).__name__} at {where}: {error}"[:300]
    return False, ""


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
