"""The live view of a run: what jobs and Snakemake write down, the state read from it, and its picture."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from wsss.__main__ import app
from wsss.planning.run_log import RUN_LOG, RunLog
from wsss.planning.run_state import RunReader, RunState, has_died
from wsss.planning.view import RunView
from wsss.runtime.console import configure_logging, progress
from wsss.study.config import Study
from wsss.study.progress import Progress, progress_file, read_progress, write_progress

ROOT = Path(__file__).parents[2]
RESULTS = Path("results/mine")
STUDY = Study(name="mine")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def snakemake() -> Iterator[logging.Logger]:
    """Snakemake's logger, as the Snakefile finds it."""
    logger = logging.Logger("snakemake", logging.INFO)
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    yield logger
    for handler in logger.handlers:
        handler.close()


def job(logger: logging.Logger, number: int, rule: str, log: str = "", **wildcards: str) -> None:
    """Say that a job is started, with the fields of the interface for logger plugins."""
    facts = {"jobid": number, "rule_name": rule, "wildcards": wildcards, "log": [log] if log else []}
    logger.info("Rule", extra={"event": "job_info", **facts})


def finished(logger: logging.Logger, number: int, done: int, total: int) -> None:
    logger.info("Finished", extra={"event": "job_finished", "job_id": number})
    logger.info(None, extra={"event": "progress", "done": done, "total": total})


def tables(split: str, count: int) -> None:
    """The tables of the shards of a split, which the data set writes."""
    folder = RESULTS / "dataset" / split
    folder.mkdir(parents=True)
    for shard in range(count):
        (folder / f"{shard:02}.tsv").touch()


# What jobs write


def test_a_job_says_how_far_it_is_as_long_as_it_counts() -> None:
    configure_logging("logs/train.log", "train")
    ticks = iter(range(0, 100, 2))
    items = progress(
        [1, 2, 3, 4], unit="steps", label="net", note=lambda: "loss 1", clock=lambda: next(ticks)
    )
    next(items)
    assert read_progress("logs/train.log") == Progress("net", 0, 4, "steps", 0.0, "loss 1")
    next(items)
    assert read_progress("logs/train.log") == Progress("net", 1, 4, "steps", 2.0, "loss 1")
    assert list(items) == [3, 4]
    assert [path.name for path in Path("logs").iterdir()] == ["train.log"]


def test_a_job_that_fails_leaves_no_progress() -> None:
    configure_logging("train.log", "train")
    items = progress([1, 2])
    next(items)
    assert progress_file("train.log").is_file()
    with pytest.raises(RuntimeError):
        items.throw(RuntimeError("no"))
    assert not progress_file("train.log").exists()


@pytest.mark.parametrize("watched", [True, False])
def test_a_view_takes_the_place_of_lines_about_progress(
    watched: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if watched:
        monkeypatch.setenv("WSSS_WATCHED", "1")
    configure_logging("train.log", "train")
    assert list(progress([1, 2], unit="images")) == [1, 2]
    logging.getLogger("wsss").warning("this stays")
    said = capsys.readouterr().err
    assert ("2 images in" in said) is not watched
    assert "train: this stays" in said
    assert "2 images in" in Path("train.log").read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"done": 1}', '{"done": "x", "total": null}'])
def test_a_damaged_progress_is_none(text: str) -> None:
    progress_file("a.log").write_text(text)
    assert read_progress("a.log") is None


def test_what_follows_from_the_count() -> None:
    some = Progress("", 25, 100, "images", 50.0)
    assert (some.rate, some.share, some.seconds_left) == (0.5, 0.25, 150.0)
    unknown = Progress("", 25, None, "images", 50.0)
    assert (unknown.share, unknown.seconds_left) == (None, None)
    assert Progress("", 0, 100, "images", 0.0).seconds_left is None


# What Snakemake says


def test_a_run_is_read_as_it_was_logged(snakemake: logging.Logger) -> None:
    tables("train", 3)
    log = RunLog(snakemake)
    snakemake.info(
        "stats", extra={"event": "run_info", "stats": {"prepare_dataset": 1, "all": 1, "total": 2}}
    )
    reader = RunReader(RESULTS)
    assert reader.read() is None
    log.begin(STUDY, elsewhere=False)
    state = reader.read()
    assert state is not None
    assert (state.done, state.total, state.waiting()) == (0, 2, {})
    job(snakemake, 1, "prepare_dataset", "results/mine/logs/a.log")
    finished(snakemake, 1, 1, 9)
    job(snakemake, 2, "compute_cams", "results/mine/logs/2.log", split="train", shard="00")
    finished(snakemake, 2, 2, 9)
    job(snakemake, 3, "compute_cams", "results/mine/logs/3.log", split="train", shard="01")
    job(snakemake, 4, "train_classifier")
    snakemake.error("Error", extra={"event": "job_error", "jobid": 4})
    write_progress("results/mine/logs/3.log", Progress("", 16, 32, "images", 8.0))
    state = reader.read()
    assert state is not None
    assert (state.done, state.total) == (2, 9)
    dataset, cams, classifier = state.stages()
    assert (dataset.finished, dataset.total) == (1, 1)
    assert (cams.finished, cams.total, cams.share) == (1, 3, 0.5)
    assert [job.name for job in cams.running] == ["compute_cams train/01"]
    assert [job.name for job in classifier.failed] == ["train_classifier"]
    log.close()
    assert reader.read().end is not None


def test_a_plan_without_the_data_set_is_whole(snakemake: logging.Logger) -> None:
    tables("train", 16)
    log = RunLog(snakemake)
    stats = {"compute_cams": 2, "random_walk": 4, "total": 6}
    snakemake.info("stats", extra={"event": "run_info", "stats": stats})
    log.begin(STUDY, elsewhere=False)
    job(snakemake, 1, "compute_cams", split="train", shard="03")
    state = RunReader(RESULTS).read()
    assert state.waiting() == {"random_walk": 4}
    assert [stage.total for stage in state.stages()] == [2]


def test_another_run_begins_anew(snakemake: logging.Logger) -> None:
    reader = RunReader(RESULTS)
    RunLog(snakemake).begin(STUDY, elsewhere=False)
    job(snakemake, 1, "train_classifier")
    assert len(reader.read().jobs) == 1
    RunLog(snakemake).begin(STUDY, elsewhere=False)
    assert reader.read().jobs == {}
    assert RunReader(RESULTS, since=reader.read().start + 1).read() is None


def test_records_of_other_versions_do_not_end_a_run(snakemake: logging.Logger) -> None:
    RunLog(snakemake).begin(STUDY, elsewhere=False)
    snakemake.info("?", extra={"event": "job_info", "number": 1})
    snakemake.info("?", extra={"event": "progress", "done": None, "total": 3})
    job(snakemake, 1, "train_classifier")
    with Path(RESULTS, RUN_LOG).open("a") as file:
        file.write('not JSON\n{"event": "finished", "time": 1, "id": 77}\n{"event": "jo')
    assert list(RunReader(RESULTS).read().jobs) == [1]


def test_a_view_keeps_what_is_routine_off_the_screen(
    snakemake: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSSS_WATCHED", "1")
    RunLog(snakemake).begin(STUDY, elsewhere=False)
    job(snakemake, 1, "train_classifier")
    snakemake.warning("The disk is nearly full.")
    assert snakemake.handlers[0].stream.getvalue() == "The disk is nearly full.\n"
    assert len(RunReader(RESULTS).read().jobs) == 1


def test_a_killed_run_is_told_from_one_that_works() -> None:
    dead = int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))
    here = socket.gethostname()
    assert has_died(RunState(RESULTS, host=here, pid=dead))
    assert not has_died(RunState(RESULTS, host=here, pid=os.getpid()))
    assert not has_died(RunState(RESULTS, host="elsewhere", pid=dead))
    assert not has_died(RunState(RESULTS, host=here, pid=dead, end=1.0))


# The picture


@pytest.fixture
def state(snakemake: logging.Logger) -> RunState:
    """In the middle of a run that goes on from an earlier one."""
    stats = {"compute_cams": 16, "train_affinitynet": 1, "random_walk": 16, "write_report": 1, "total": 34}
    log = RunLog(snakemake)
    snakemake.info("stats", extra={"event": "run_info", "stats": stats})
    log.begin(STUDY, elsewhere=False)
    for number in range(5):
        job(snakemake, number, "compute_cams", split="train", shard=f"{number:02}")
        finished(snakemake, number, number + 1, 34)
    job(snakemake, 5, "compute_cams", "results/mine/logs/5.log", split="train", shard="05")
    job(snakemake, 6, "train_affinitynet", "results/mine/logs/6.log")
    job(snakemake, 7, "label_confident", "results/mine/logs/7.log", shard="02")
    snakemake.error("Error", extra={"event": "job_error", "jobid": 7})
    write_progress("results/mine/logs/5.log", Progress("", 16, 64, "images", 8.0))
    write_progress("results/mine/logs/6.log", Progress("AffinityNet", 300, 900, "steps", 60.0, "loss 0.213"))
    return RunReader(RESULTS).read()


def drawn(state: RunState | None, width: int, height: int = 24, **options: object) -> str:
    console = Console(width=width, height=height, file=io.StringIO(), **options)
    console.print(RunView(state, "mine"))
    return console.file.getvalue()


@pytest.mark.parametrize("width", range(60, 201, 7))
def test_the_view_fits_and_says_what_counts(state: RunState, width: int) -> None:
    text = drawn(state, width)
    assert max(map(len, text.splitlines())) <= width
    for said in ("mine", "5 of 34 jobs", "5 of 16", "1 at work", "33%", "2:00 left", "loss 0.213"):
        assert said in text
    for said in ("train/05", "25%", "0:24 left"):
        assert said in text
    assert "failed    label_confident 02" in text
    assert re.search(r"to come +random_walk 16, *write_report", text)
    assert ("16/64 images" in text) is (width >= 90)
    assert ("5 steps/s" in text) is (width >= 112)


def test_a_low_terminal_has_room_for_the_rest(state: RunState, snakemake: logging.Logger) -> None:
    for number in range(10, 40):
        job(
            snakemake,
            number,
            "random_walk",
            f"results/mine/logs/{number}.log",
            split="train",
            shard=str(number),
        )
        write_progress(f"results/mine/logs/{number}.log", Progress("", 1, 2, "images", 1.0))
    text = drawn(RunReader(RESULTS).read(), 80, 20)
    assert len(text.splitlines()) <= 20
    assert re.search(r"… and \d+ more at work", text)


def test_colours_only_where_they_are_wanted(state: RunState, monkeypatch: pytest.MonkeyPatch) -> None:
    colour = re.compile(r"\x1b\[[\d;]*3\d")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colour.search(drawn(state, 80, force_terminal=True, color_system="standard"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(drawn(state, 80, force_terminal=True, color_system="standard"))


def test_before_the_run_begins() -> None:
    assert drawn(None, 60) == "mine: reading the study …\n"


# The terminal

CHILD = """
import json, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from wsss.study.config import Study
from wsss.study.progress import Progress, write_progress
assert os.environ["WSSS_WATCHED"] and not sys.stderr.isatty()
log = Path("results/mine/logs/run.jsonl")
log.parent.mkdir(parents=True)
def write(event, **fields):
    with log.open("a") as file:
        file.write(json.dumps({{"event": event, "time": time.time(), **fields}}) + "\\n")
write("run", planned={{"train_classifier": 1}}, host="here", pid=os.getpid())
write("job", id=1, rule="train_classifier", wildcards={{}}, log="results/mine/logs/train.log")
write_progress("results/mine/logs/train.log", Progress("net", 5, 10, "steps", 10.0, "loss 0.5"))
print("train_classifier: ALARM: a line above the view", file=sys.stderr, flush=True)
signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGTERM, lambda *_: None)
print("ready", flush=True)
if {waits}:
    signal.pause()
    print("To continue, run the same command again")
print("all scores")
sys.exit({status})
"""


class Terminal:
    """A pseudo terminal in which a child runs under the view."""

    def __init__(self, status: int = 0, *, waits: bool = False) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
        Path("child.py").write_text(CHILD.format(root=str(ROOT), status=status, waits=waits))
        code = (
            "import sys; from pathlib import Path; from wsss.planning.screen import run_in_view;"
            "sys.exit(run_in_view([sys.executable, 'child.py'], Path('results/mine')))"
        )
        environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            start_new_session=True,
            preexec_fn=own_tty,
            **streams,
        )
        os.close(slave)
        self.text = ""

    def until(self, pattern: str) -> None:
        """Read until a pattern appears."""
        while not re.search(pattern, self.text):
            self.text += os.read(self.master, 65536).decode()

    def rest(self) -> int:
        """Read to the end and return the exit status."""
        try:
            while data := os.read(self.master, 65536):
                self.text += data.decode()
        except OSError:  # how Linux says that nobody has the terminal open any more
            pass
        os.close(self.master)
        return self.process.wait()


def own_tty() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def last_screen(text: str) -> str:
    """What follows the last erased view."""
    return re.split(r"\x1b\[2K", text)[-1]


@pytest.mark.parametrize("status", [0, 1, 7])
def test_the_closing_text_is_last_and_the_terminal_as_before(status: int) -> None:
    terminal = Terminal(status)
    assert terminal.rest() == status
    assert "ALARM: a line above the view\r\n" in terminal.text
    assert terminal.text.rindex("all scores") > terminal.text.rindex("a line above the view")
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert last_screen(terminal.text) == ""


def test_ctrl_c_leaves_the_end_to_the_run() -> None:
    terminal = Terminal(1, waits=True)
    terminal.until(r"loss 0\.5")
    terminal.until(r"0:10 left")
    os.write(terminal.master, b"\x03")
    assert terminal.rest() == 1
    assert "To continue, run the same command again\r\n" in terminal.text
    assert "Traceback" not in terminal.text
    assert "KeyboardInterrupt" not in terminal.text
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")


def test_what_ends_the_view_ends_the_run() -> None:
    terminal = Terminal(3, waits=True)
    terminal.until("loss")
    terminal.process.terminate()
    assert terminal.rest() == 3
    assert "all scores" in terminal.text


# wsss watch


def watch(*arguments: str) -> SimpleNamespace:
    result = CliRunner().invoke(app, ["watch", *arguments])
    return SimpleNamespace(status=result.exit_code, out=result.stdout, err=result.stderr)


def test_without_a_terminal_the_state_is_said_once(state: RunState) -> None:
    seen = watch("results/mine")
    assert seen.status == 0, seen.err
    assert "5 of 34 jobs" in seen.out
    assert "\x1b" not in seen.out


def test_nothing_to_watch_is_one_sentence() -> None:
    RESULTS.mkdir(parents=True)
    seen = watch("results/mine")
    assert seen.status == 2
    assert seen.err == "results/mine: no run has left its log there, expected results/mine/logs/run.jsonl\n"


def test_a_killed_run_is_said_to_be_so(state: RunState) -> None:
    dead = int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))
    log = RESULTS / RUN_LOG
    first, *others = log.read_text().splitlines()
    log.write_text("\n".join([json.dumps(json.loads(first) | {"pid": dead}), *others, ""]))
    seen = watch("results/mine")
    assert seen.status == 2
    assert f"results/mine: process {dead} no longer runs" in seen.err
