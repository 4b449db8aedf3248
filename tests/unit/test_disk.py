"""Full disks are named as such: the file, what it takes, and what is free."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from wsss.data import write_mask
from wsss.results import HistoryWriter, write_json, write_masks, write_text
from wsss.results.checkpoints import save_checkpoint
from wsss.runtime.disk import DiskFullError, naming_full_disk, temporary_folder
from wsss.runtime.locks import try_lock

NOISE = np.random.default_rng(0).integers(0, 255, (1200, 1200), dtype=np.uint8)

WRITERS: dict[str, Callable[[Path], object]] = {
    "checkpoint.pt": lambda path: save_checkpoint(path, {"weights": torch.zeros(600_000)}),
    "00.h5": lambda path: write_masks(path, [("a", NOISE)]),
    "mask.png": lambda path: write_mask(path, NOISE),
    "scores.json": lambda path: write_json(path, {"text": "x" * 2_000_000}),
    "results.md": lambda path: write_text(path, "x" * 2_000_000),
}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Limit the size of files that this process writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no program `mount`")
    if done.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {done.stderr.strip()}")
    yield folder
    # Lazily: HDF5 keeps a file open that it could not write.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_named_with_the_file_and_the_room_that_it_takes(small_disk: Path, name: str) -> None:
    path = small_disk / name
    with pytest.raises(DiskFullError) as error:
        WRITERS[name](path)
    said = str(error.value)
    assert said.startswith(f"{path}: the disk is full. It takes ")
    assert f"MB are free in {small_disk}" in said
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_limit_of_the_size_is_named(tmp_path: Path, name: str) -> None:
    with files_of_at_most(500_000), pytest.raises(DiskFullError, match=re.escape(f"{tmp_path / name}: ")):
        WRITERS[name](tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_says_how_much_it_takes(tmp_path: Path) -> None:
    with files_of_at_most(500_000), pytest.raises(DiskFullError, match=r"It takes 2\.4 MB"):
        WRITERS["checkpoint.pt"](tmp_path / "checkpoint.pt")


def test_a_history_on_a_full_disk(small_disk: Path) -> None:
    full = small_disk / "full"
    with HistoryWriter(small_disk / "history.tsv") as history:
        history.append({"step": 1.0})
        with pytest.raises(OSError, match="No space left"), full.open("wb") as file:
            file.write(bytes(2_000_000))
        more = range(2, 2000)
        with pytest.raises(DiskFullError, match=r"history\.tsv: the disk is full"):
            deque((history.append({"step": float(step)}) for step in more), maxlen=0)
        full.unlink()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_what_libraries_make_of_a_full_disk_is_named_too(tmp_path: Path, number: int) -> None:
    said = re.escape(f"{tmp_path / 'a'}: the ")
    with pytest.raises(DiskFullError, match=said), naming_full_disk(tmp_path / "a"):
        raise RuntimeError(f"driver failed: errno = {number}, '{os.strerror(number)}'")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for error in (OSError(errno.EIO, "input/output error"), RuntimeError("shapes"), ValueError("no")):
        with pytest.raises(type(error)) as caught, naming_full_disk(tmp_path / "a"):
            raise error
        assert caught.value is error


def test_a_writer_that_fails_without_a_reason_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsss.runtime.disk.shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DiskFullError, match="the disk is full"), naming_full_disk(tmp_path / "a"):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")


# TMPDIR

LOCKING = "from wsss.runtime.locks import try_lock\nwith try_lock('a') as free:\n    print(free)"


def test_a_full_folder_for_temporary_files_is_named(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = small_disk / "full"
    with pytest.raises(OSError, match="No space left"), full.open("wb") as file:
        file.write(bytes(2_000_000))
    environment = os.environ | {"TMPDIR": str(small_disk)}
    done = subprocess.run([sys.executable, "-c", LOCKING], env=environment, capture_output=True, text=True)
    full.unlink()
    assert f"DiskFullError: {small_disk}: the disk is full" in done.stderr
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert temporary_folder() == tmp_path
    with try_lock("a") as free:
        assert free


def test_no_folder_for_temporary_files_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("wsss.runtime.disk.tempfile.gettempdir", none)
    with pytest.raises(DiskFullError, match="No usable temporary directory found"):
        temporary_folder()
