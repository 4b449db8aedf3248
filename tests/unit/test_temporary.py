"""Unfinished files, and which of them are abandoned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import wsss.study.temporary
from wsss.study.temporary import remove_abandoned, temporary_path

WRITING = """
import sys
from pathlib import Path
from wsss.study.temporary import temporary_path
temporary_path(Path(sys.argv[1])).write_text("half")
print("written", flush=True)
sys.stdin.read()
"""


def writing(path: Path) -> subprocess.Popen[str]:
    """A process that has written half a file."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", WRITING, str(path)], text=True, **pipes)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def parts(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.part"))


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    (tmp_path / "cams" / "train").mkdir(parents=True)
    with writing(tmp_path / "cams" / "train" / "00.npz") as killed, writing(tmp_path / "01.npz") as alive:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        own = temporary_path(tmp_path / "02.npz")
        own.write_text("half")
        (left,) = parts(tmp_path / "cams")
        assert len(parts(tmp_path)) == 3
        assert remove_abandoned(tmp_path) == [left]
        assert len(parts(tmp_path)) == 2
        alive.communicate("")
    assert len(remove_abandoned(tmp_path)) == 1
    assert parts(tmp_path) == [own]


@pytest.mark.parametrize(
    "function", ["wsss.study.temporary.socket.gethostname", "wsss.study.temporary.os.readlink"]
)
def test_what_another_machine_or_container_writes_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    with writing(tmp_path / "00.npz") as killed:
        killed.kill()
    wsss.study.temporary.this_place.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(function, lambda *_: "elsewhere")
        assert remove_abandoned(tmp_path) == []
    wsss.study.temporary.this_place.cache_clear()
    assert len(remove_abandoned(tmp_path)) == 1


@pytest.mark.parametrize(
    "name", [".00.npz.123-ab12cd34.part", "00.part", ".x.part", ".a.0123456789ab-99999999999-00000000.part"]
)
def test_files_of_others_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    assert remove_abandoned(tmp_path) == []
    assert remove_abandoned(tmp_path / "nowhere") == []


def test_a_temporary_name_is_hidden_short_and_beside_its_file(tmp_path: Path) -> None:
    path = temporary_path(tmp_path / ("x" * 250))
    assert path.parent == tmp_path
    assert path.name.startswith(".")
    assert path.suffix == ".part"
    assert len(os.fsencode(path.name)) < 255
    assert path != temporary_path(tmp_path / ("x" * 250))


def test_what_a_dead_process_left_is_removed_before_its_parent_asks_how_it_ended(tmp_path: Path) -> None:
    with writing(tmp_path / "00.npz") as killed:
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
        assert len(remove_abandoned(tmp_path)) == 1
