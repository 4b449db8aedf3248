"""How many jobs run at once on a workstation, and on how many threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsss.study.cluster import VARIABLE
from wsss.study.machine import MANY, MOST_THREADS, gpu_slots_here, memory_mb, shard_threads, slots_of_run


@pytest.mark.parametrize(
    ("files", "environment", "slots"),
    [
        ([], {}, MANY),
        (["nvidiactl", "nvidia-uvm", "nvidia-modeset"], {}, MANY),
        (["nvidia0", "nvidiactl"], {}, 1),
        (["nvidia0", "nvidia1", "nvidia10"], {}, 3),
        (["nvidia0", "nvidia1", "nvidia2"], {"CUDA_VISIBLE_DEVICES": "0,2"}, 2),
        (["nvidia0", "nvidia1"], {"CUDA_VISIBLE_DEVICES": ""}, MANY),
        (["kfd"], {}, 1),
        ([], {"WSSS_CPU_DEVICES": "2"}, 2),
        ([], {"WSSS_CPU_DEVICES": "0"}, MANY),
        ([], {"WSSS_CPU_DEVICES": "two"}, MANY),
    ],
)
def test_one_job_at_a_time_on_each_gpu(
    files: list[str], environment: dict[str, str], slots: int, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert gpu_slots_here(tmp_path, environment) == slots


@pytest.mark.parametrize(
    ("cores", "shards", "slots", "threads"),
    [
        (2, 2, MANY, 1),
        (2, 8, MANY, 1),
        (16, 3, MANY, 5),
        (16, 1, MANY, MOST_THREADS),
        (4, 0, MANY, 4),
        (16, 2, 1, MOST_THREADS),
        (16, 2, 2, 8),
        (None, 2, MANY, MOST_THREADS),
    ],
)
def test_shards_share_the_cores_where_all_may_run_at_once(
    cores: int | None, shards: int, slots: int, threads: int
) -> None:
    assert shard_threads(cores, shards, slots) == threads


def test_a_job_of_a_cluster_has_cores_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "{}")
    assert shard_threads(2, 2, slots_of_run()) == MOST_THREADS


def test_memory_is_that_of_this_machine() -> None:
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []
    if not lines:
        pytest.skip("no /proc/meminfo")
    assert memory_mb() == int(lines[0].split()[1]) * 1024 // 1_000_000
