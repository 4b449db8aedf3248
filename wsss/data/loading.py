"""Feeding a network: where it computes, loading ahead of it, and batches of images of one size."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor, nn

from wsss.data import ImageRow
from wsss.runtime.compute import Compute
from wsss.runtime.devices import worker_count
from wsss.runtime.memory import bound_caches, returning_memory
from wsss.runtime.this_process import set_threads

Task = TypeVar("Task")
Item = TypeVar("Item")
Network = TypeVar("Network", bound=nn.Module)


def prefetch(load: Callable[[Task], Item], tasks: Iterable[Task], workers: int) -> Iterator[Item]:
    """Yield ``load(task)`` for each task, in order, while ``workers`` threads load the next ones.

    Threads, not processes: decoding and resizing release the interpreter's lock, and nothing has to be
    pickled, copied or started. An exception in ``load`` surfaces where its item is due.
    """
    if workers == 0:
        yield from map(load, tasks)
        return
    pending: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="load") as pool:
        try:
            for task in tasks:
                pending.append(pool.submit(load, task))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def in_threads(work: Callable[[Task], Item], tasks: Iterable[Task], threads: int) -> Iterator[Item]:
    """Yield ``work(task)`` for each task, in order: as many at once as there are threads, each on a core."""
    set_threads(1)
    return returning_memory(prefetch(work, tasks, worker_count(threads)))


def batches_by_size(rows: Iterable[ImageRow], batch_pixels: float) -> list[list[ImageRow]]:
    """Group images of equal height and width: at most ``batch_pixels`` to a batch, but at least one image."""
    by_size: dict[tuple[int, int], list[ImageRow]] = defaultdict(list)
    for row in rows:
        by_size[row.height, row.width].append(row)
    batches = []
    for (height, width), group in sorted(by_size.items()):
        count = max(1, int(batch_pixels / (height * width)))
        batches += [group[start : start + count] for start in range(0, len(group), count)]
    return batches


def image_batches(
    load: Callable[[ImageRow], tuple[Tensor, ...]],
    rows: Iterable[ImageRow],
    compute: Compute,
    largest_scale: float = 1.0,
) -> Iterator[tuple[list[ImageRow], tuple[Tensor, ...]]]:
    """Yield batches of images of equal size.

    Args:
        load: makes tensors of an image, whose shapes depend on the image's size alone.
        rows: the images.
        compute: says how large a batch may be, and how many threads load.
        largest_scale: factor from the image's sides to those of the largest tensor.

    Yields:
        A batch's rows, and the tensors that ``load`` made of them, stacked.
    """

    def load_batch(batch: list[ImageRow]) -> tuple[list[ImageRow], tuple[Tensor, ...]]:
        return batch, tuple(torch.stack(field) for field in zip(*map(load, batch), strict=True))

    bound_caches()
    batches = batches_by_size(rows, compute.batch_pixels / largest_scale**2)
    return returning_memory(prefetch(load_batch, batches, compute.workers))
