"""How the threads of a job are shared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from wsss.data.loading import in_threads
from wsss.runtime import Compute


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def stage(device: str) -> SimpleNamespace:
    return SimpleNamespace(device=torch.device(device), config={"precision": "float32"}, threads=3)


def test_on_a_cpu_the_network_takes_all_threads() -> None:
    assert Compute.of(stage("cpu")).workers == 0
    assert torch.get_num_threads() == 3


def test_beside_a_gpu_the_threads_load() -> None:
    assert Compute.of(stage("cuda")).workers == 3
    assert torch.get_num_threads() == 1


def test_work_in_threads_keeps_its_order_on_one_core_each() -> None:
    found = list(in_threads(lambda task: (task, torch.get_num_threads()), range(20), 3))
    assert found == [(task, 1) for task in range(20)]
