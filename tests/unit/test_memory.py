"""Memory that is freed goes back to the system between images."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wsss.data.loading import image_batches
from wsss.runtime.compute import Compute
from wsss.runtime.memory import return_memory, returning_memory

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
BLOCKS, SIDE = 2000, 100_000
"""Of less than the 128 KiB from which on each block is a mapping of its own, which always goes back."""


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def blocks() -> list[NDArray[np.uint8]]:
    return [np.ones(SIDE, np.uint8) for _ in range(BLOCKS)]


@LINUX
def test_gaps_between_blocks_that_stay_are_given_back() -> None:
    """As after images of many sizes: nothing at the end of the heap can be cut off."""
    before = resident()
    made = blocks()
    assert resident() - before > 0.8 * BLOCKS * SIDE
    kept = made[::100]
    del made
    return_memory()
    assert resident() - before < 0.2 * BLOCKS * SIDE
    assert len(kept) == BLOCKS // 100


@LINUX
def test_memory_is_returned_before_the_next_item_is_made() -> None:
    seen: list[int] = []
    kept: list[NDArray[np.uint8]] = []

    def items() -> Iterator[int]:
        for number in range(4):
            seen.append(resident())
            made = blocks()
            kept.extend(made[::100])
            yield number

    assert list(returning_memory(items())) == [0, 1, 2, 3]
    assert max(seen) - seen[0] < 1.5 * BLOCKS * SIDE


def test_items_come_unchanged_and_in_order() -> None:
    assert list(returning_memory(iter("abc"))) == ["a", "b", "c"]


def test_inference_bounds_the_cache_of_convolutions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    compute = Compute(torch.device("cpu"))
    monkeypatch.setenv(name, "")
    monkeypatch.delenv(name)
    assert list(image_batches(lambda row: (), [], compute)) == []
    assert os.environ[name] == "128"
    monkeypatch.setenv(name, "7")
    assert list(image_batches(lambda row: (), [], compute)) == []
    assert os.environ[name] == "7"
