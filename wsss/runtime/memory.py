"""Keeping memory from growing with the number of images: oneDNN's cache, and gaps in the heap."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")

MOST_PRIMITIVES = "128"
"""Convolutions that oneDNN keeps ready; a pass over an image and its mirror image uses some sixty."""


def bound_caches() -> None:
    """Have oneDNN, which computes convolutions on a CPU, keep few of them ready; before the first one.

    It keeps 1024 by default, each for one size of images and up to a megabyte large: with images of many
    sizes none is used again. A value in the environment is left alone.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", MOST_PRIMITIVES)


def returning_memory(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items, and give freed memory back to the system before each next one is made.

    Images of many sizes leave gaps of many sizes, in which the tensors of the next image do not fit: without
    this the memory of a job grows with the number of images, though nothing refers to it.
    """
    for item in items:
        yield item
        del item
        return_memory()


def return_memory() -> None:
    """Give freed memory back to the system, which takes about a millisecond; nothing where libc cannot."""
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    """Find glibc's `malloc_trim`; musl, macOS and Windows have none."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        trim: Callable[[int], object] = libc.malloc_trim
        return trim
    return lambda _: None
