"""How the threads of a job are shared."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from wsss.data.loading import in_threads
from wsss.runtime.compute import Compute


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_on_a_cpu_the_network_takes_all_threads() -> None:
    compute = Compute.of(torch.device("cpu"), "float32", 3)
    assert (compute.workers, compute.processes) == (0, 1)
    assert torch.get_num_threads() == 3


def test_beside_a_gpu_the_threads_load() -> None:
    compute = Compute.of((torch.device("cuda", 1),), "float32", 3)
    assert (compute.workers, compute.processes) == (3, 1)
    assert torch.get_num_threads() == 1


def test_gpus_share_the_threads_a_process_on_each() -> None:
    devices = torch.device("cuda", 1), torch.device("cuda", 3)
    compute = Compute.of(devices, "float32", 4)
    assert (compute.workers, compute.processes, compute.leads) == (2, 2, True)
    second = compute.of_rank(1)
    assert (second.device, second.workers, second.processes, second.leads) == (devices[1], 2, 2, False)


def test_work_in_threads_keeps_its_order_on_one_core_each() -> None:
    found = list(in_threads(lambda task: (task, torch.get_num_threads()), range(20), 3))
    assert found == [(task, 1) for task in range(20)]
