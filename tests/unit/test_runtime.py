"""What surrounds every stage: devices, locks and console."""

from __future__ import annotations

import logging
import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsss.results import ArtifactError
from wsss.runtime.console import configure_logging, progress
from wsss.runtime.devices import (
    autocast,
    device,
    gpu_slot,
    gpu_slots,
    multiplies_bfloat16,
    worker_count,
)
from wsss.runtime.locks import first_free, try_lock
from wsss.runtime.this_process import peak_memory_mb, seed_everything


@pytest.fixture(autouse=True)
def restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore logging and threads, begin without the log file of an earlier test, and keep locks apart."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root, threads = logging.getLogger(), torch.get_num_threads()
    handlers, level, terminate = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)
    root.handlers[:] = [handler for handler in handlers if type(handler) is not logging.FileHandler]
    yield
    logging.captureWarnings(False)
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    torch.set_num_threads(threads)
    assert signal.getsignal(signal.SIGTERM) is terminate


# Devices


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, *uuids: str) -> None:
    current = [0]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(uuids))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: current.__setitem__(0, index))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=uuids[index]))


def test_without_a_gpu_everything_is_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device() == torch.device("cpu")
    with gpu_slot() as first, gpu_slot() as second, gpu_slots(2) as several:
        assert first == second == torch.device("cpu")
        assert several == (torch.device("cpu"),)


def test_each_job_gets_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, "aa", "bb")
    with gpu_slot() as first, gpu_slot() as second:
        assert (first, second) == (torch.device("cuda", 0), torch.device("cuda", 1))
        assert device() == torch.device("cuda", 1)
    pretend_gpus(monkeypatch, "bb", "cc")  # what a job sees whose CUDA_VISIBLE_DEVICES is 1,2
    with try_lock("gpu-bb") as free, gpu_slot() as other:
        assert free
        assert other == torch.device("cuda", 1)


def test_a_job_can_hold_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, "aa", "bb", "cc")
    with try_lock("gpu-bb"):
        with gpu_slots(2) as devices:
            assert devices == (torch.device("cuda", 0), torch.device("cuda", 2))
            assert device() == torch.device("cuda", 0)
            with try_lock("gpu-aa") as first, try_lock("gpu-cc") as last:
                assert not first
                assert not last
        with gpu_slots(1) as devices:
            assert devices == (torch.device("cuda", 0),)
    with pytest.raises(ValueError, match=r"resources\.gpu: got 4, but PyTorch sees 3 GPUs"), gpu_slots(4):
        pass


def test_a_cpu_can_count_as_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("WSSS_CPU_DEVICES", "2")
    with gpu_slots(2) as devices:
        assert devices == (cpu, cpu)
        with try_lock("cpu-0") as first, try_lock("cpu-1") as second:
            assert not first
            assert not second
    with gpu_slot() as one, gpu_slot() as other, try_lock("cpu-1") as free:
        assert one == other == cpu
        assert not free
    expected = r"resources\.gpu: got 3, but PyTorch sees 2 devices by WSSS_CPU_DEVICES"
    with pytest.raises(ValueError, match=expected), gpu_slots(3):
        pass
    monkeypatch.setenv("WSSS_CPU_DEVICES", "two")
    with pytest.raises(ValueError, match="WSSS_CPU_DEVICES: got 'two', expected a number"), gpu_slots(2):
        pass


def test_a_job_waits_for_a_lock_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pauses: list[float] = []
    with try_lock("a"):
        holder = try_lock("b")
        holder.__enter__()

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                holder.__exit__(None, None, None)

        with first_free(["a", "b"], pause) as index:
            assert index == 1
    assert pauses == [1.0] * 3
    assert caplog.messages == ["waiting: other jobs hold a, b"]


def test_a_lock_is_free_again_even_if_a_forked_worker_lives_on() -> None:
    with try_lock("a") as free:
        assert free
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent closes its end
            os._exit(0)
    with try_lock("a") as free:
        assert free
    os.close(reader)
    os.close(writer)
    os.waitpid(child, 0)


def test_a_lock_is_free_again_once_its_process_is_killed() -> None:
    code = "from wsss.runtime.locks import try_lock\nwith try_lock('a'): print(flush=True), input()"
    environment = {**os.environ, "TMPDIR": tempfile.gettempdir()}
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert holder.stdout is not None
    holder.stdout.readline()  # it holds the lock from here on
    with try_lock("a") as free:
        assert not free
    holder.kill()
    holder.communicate()
    with try_lock("a") as free:
        assert free


def test_threads_exclude_each_other() -> None:
    def hold(_: int) -> bool:
        with try_lock("a") as free:
            everyone_tried.wait()
            return free

    everyone_tried = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(hold, range(4))) == [False, False, False, True]


def test_a_lock_is_released_if_its_work_fails() -> None:
    with pytest.raises(RuntimeError, match="no"), try_lock("a"):
        raise RuntimeError("no")
    with try_lock("a") as free:
        assert free


def test_only_this_user_can_open_the_locks(tmp_path: Path) -> None:
    with try_lock("a"):
        (folder,) = tmp_path.glob("wsss-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "a").stat().st_mode & 0o777 == 0o600


def test_a_folder_for_locks_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"wsss-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="set TMPDIR"), try_lock("a"):
        pass


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_precision_is_what_was_asked_for(precision: str, expected: torch.dtype) -> None:
    matrix = torch.ones(2, 2)
    with autocast(torch.device("cpu"), precision):
        assert (matrix @ matrix).dtype == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("Features\t: fp asimd bf16", True),
        ("Features\t: fp asimd", False),
        ("", False),
    ],
)
def test_bfloat16_is_used_where_the_processor_has_it(tmp_path: Path, flags: str, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{flags}\nbogomips\t: 1\n")
    assert multiplies_bfloat16(torch.device("cpu"), cpuinfo) is expected
    assert not multiplies_bfloat16(torch.device("cpu"), tmp_path / "absent")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"precision: got 'float16', allowed .*'bfloat16'"):
        autocast(torch.device("cpu"), "float16")


def test_seeds_repeat_all_three_generators() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    seed_everything(2**40)
    first = draw()
    seed_everything(2**40)
    assert draw() == first
    seed_everything(1)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize(
    ("threads", "cores", "workers"), [(1, 8, 1), (2, 8, 2), (8, 2, 2), (8, 1, 1), (0, 4, 1), (64, 64, 8)]
)
def test_workers_never_outnumber_threads_or_cores(
    monkeypatch: pytest.MonkeyPatch, threads: int, cores: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert worker_count(threads) == workers


def test_peak_memory_counts_what_was_used() -> None:
    block = np.ones(2**23)
    assert peak_memory_mb() > block.nbytes / 2**20


# Progress


class Clock:
    """A clock that goes on by `step` seconds each time it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_progress_writes_a_line_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert list(progress(range(20), unit="images", label="CAMs", clock=Clock(4))) == list(range(20))
    assert caplog.messages[:2] == [
        "CAMs: 3/20 images (15%), 0.25 images/s, 1:08 left",
        "CAMs: 6/20 images (30%), 0.25 images/s, 0:56 left",
    ]
    assert len(caplog.messages) == 7
    assert caplog.messages[-1] == "CAMs: 20 images in 1:24, 0.238 images/s"


def test_progress_can_show_the_loss(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    losses = iter([0.7, 0.5])
    list(progress(range(4), unit="steps", note=lambda: f"loss {next(losses)}", clock=Clock(4)))
    assert caplog.messages == [
        "3/4 steps (75%), 0.25 steps/s, 0:04 left, loss 0.7",
        "4 steps in 0:20, 0.2 steps/s, loss 0.5",
    ]


def test_progress_without_a_length_tells_no_time_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    list(progress(iter("abc"), unit="steps", clock=Clock(4000)))
    assert caplog.messages == [
        "1 steps, 0.00025 steps/s",
        "2 steps, 0.00025 steps/s",
        "3 steps, 0.00025 steps/s",
        "3 steps in 4:26:40, 0.000188 steps/s",
    ]


def test_progress_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert list(progress([], clock=Clock(0))) == []
    assert caplog.messages == ["0 images in 0:00"]


@contextmanager
def terminal(width: int = 100) -> Iterator[Callable[[], str]]:
    """Make stderr a terminal; yield a function that returns what was written to it since."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, width))
    with os.fdopen(theirs, "w", buffering=1) as stream, redirect_stderr(stream):

        def written() -> str:
            stream.write("\0")  # reading stops here
            stream.flush()
            text = b""
            while not text.endswith(b"\0"):
                text += os.read(ours, 4096)
            return text[:-1].decode()

        yield written
    os.close(ours)


def test_a_terminal_shows_one_bar_and_lines_of_the_others_above_it(tmp_path: Path) -> None:
    with terminal() as written:
        configure_logging(tmp_path / "log", "compute_cams train/03")
        bar = progress(range(3), unit="images", label="CAMs", clock=Clock(6))
        next(bar)
        assert "compute_cams train/03 CAMs:   0%" in written()
        list(progress(range(2), unit="masks", label="second", clock=Clock(1)))
        lines = written()
        assert "\r\x1b[Kcompute_cams train/03: second: 2 masks in 0:03, 0.667 masks/s" in lines
        assert "%" not in lines
        list(bar)
        assert "CAMs: 3 images in 0:24" in written()
    assert "CAMs: 2/3 images (67%)" in (tmp_path / "log").read_text()


def test_a_short_bar_leaves_nothing_behind(tmp_path: Path) -> None:
    with terminal() as written:
        configure_logging(tmp_path / "log")
        list(progress(range(3), label="CAMs", clock=Clock(0.1)))
        assert "CAMs: 3 images in" not in written()
    assert "CAMs: 3 images in 0:00" in (tmp_path / "log").read_text()
    with try_lock(next(path.name for path in tmp_path.glob("wsss-*/bar-*"))) as free:
        assert free


def test_a_terminal_of_unknown_width_gets_lines(tmp_path: Path) -> None:
    with terminal(width=0) as written:
        configure_logging(None)
        list(progress(range(3), label="CAMs", clock=Clock(1)))
        assert "CAMs: 3 images in 0:04" in written()


# Errors and warnings


def report(error: BaseException) -> None:
    """What Python does with an error that nothing catches."""
    try:
        raise error
    except BaseException:
        sys.excepthook(*sys.exc_info())


def test_an_expected_error_is_short_on_stderr_and_complete_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "rule.log"
    configure_logging(log, "compute_cams 00")
    report(ArtifactError("cams/00.npz: truncated"))
    assert capsys.readouterr().err == "compute_cams 00: cams/00.npz: truncated\n"
    assert "Traceback" in log.read_text()
    assert "raise error\nwsss.results.files.ArtifactError: cams/00.npz: truncated" in log.read_text()


def test_any_other_error_points_to_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "rule.log"
    configure_logging(log, "segment 00")
    report(ValueError("operands could not be broadcast"))
    report(KeyboardInterrupt())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"segment 00: ValueError: operands could not be broadcast (traceback in {log})"
    assert lines[1:] == ["segment 00: interrupted"]
    assert log.read_text().count("Traceback") == 1


def test_warnings_and_other_libraries_reach_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(tmp_path / "old.log")
    configure_logging(tmp_path / "rule.log")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("deprecated", stacklevel=1)
    logging.getLogger("elsewhere").info("a library speaks")
    assert capsys.readouterr().err.count("a library speaks\n") == 1
    text = (tmp_path / "rule.log").read_text()
    assert "deprecated" in text
    assert "INFO elsewhere: a library speaks" in text
    assert (tmp_path / "old.log").read_text() == ""
