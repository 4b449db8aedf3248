"""The live view over Snakemake itself, in a pseudo terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path
from threading import Timer

import pytest

from tests.conftest import Workflow

pytestmark = pytest.mark.slow

LONGEST = 300
"""Seconds after which the test gives up, with what was shown."""

HALF_A_TRAINING = """
import signal, sys
from wsss.study.progress import Progress, write_progress
write_progress(snakemake.log[0], Progress("Classifier", 30, 40, "steps", 60.0, "loss 0.123"))
signal.signal(signal.SIGINT, lambda *_: sys.exit("train_classifier: interrupted"))
print("train_classifier: in the middle", file=sys.stderr, flush=True)
signal.pause()
"""


def own_tty() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start `wsss run` as a terminal of 100 columns does, and return it with the terminal's other end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
    sizes = ("COLUMNS", "LINES")  # would count for more than the terminal
    environment = {name: value for name, value in os.environ.items() if name not in sizes}
    process = subprocess.Popen(
        [sys.executable, "-m", "wsss", "run", "study.yaml"],
        cwd=folder,
        env=environment | {"TERM": "xterm-256color", "PYTHONPATH": str(folder)},
        start_new_session=True,
        preexec_fn=own_tty,
        **streams,
    )
    os.close(slave)
    return process, master


def test_a_run_is_shown_and_ctrl_c_ends_it_in_good_order(new_workflow: Workflow) -> None:
    new_workflow.configure(dataset={"kind": "shapes", "train": 8, "val": 4, "size": 64})
    (new_workflow.folder / "workflow_scripts" / "train_classifier.py").write_text(HALF_A_TRAINING)
    process, terminal = start(new_workflow.folder)
    text, interrupted = "", False
    bound = Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
    bound.start()
    try:
        while data := os.read(terminal, 65536):
            text += data.decode(errors="replace")
            if not interrupted and re.search(
                r"train_classifier.*75%.*30/40 steps.*0:20 left.*loss 0\.123", text
            ):
                interrupted = True
                os.write(terminal, b"\x03")
    except OSError:  # nobody has the terminal open any more
        pass
    finally:
        bound.cancel()
    assert interrupted, text
    assert process.wait() == 1
    assert "prepare_dataset: done in" in text, "what jobs say stands above the view"
    assert "in the middle" in text
    assert re.search(r"done +.*prepare_dataset", text)
    assert "rule train_classifier:" not in text, "the view says what runs"
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is there again"
    assert text.rindex("To continue, run the same command again") > text.rindex("in the middle")
    assert "Traceback" not in text
    assert not list(new_workflow.folder.glob(".snakemake/locks/*")), "the folder is not left locked"
