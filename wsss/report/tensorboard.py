"""The curves of a study's trainings as event files of TensorBoard, from the histories that trainings write.

A history holds each step once, however often its training was interrupted, and so do the event files. Nothing
is computed again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from wsss.results import ArtifactError, read_history, read_json

FOLDER = "tensorboard"
"""Of the event files, below the results of a study."""

SCORES = {"classifier": ("classifier", "map", "mAP"), "segmenter": ("segmentation", "miou", "mIoU")}
"""Of trainings whose network is scored as it is: file of the scores, key there, and name of the score."""

NEEDED = "TensorBoard's event files need the package tensorboard: pip install 'wsss[tensorboard]'"


class Point(NamedTuple):
    """A value of a curve.

    Attributes:
        tag: name of the curve.
        value: finite, or nan.
        step: number of steps done.
    """

    tag: str
    value: float
    step: int


class Writer(Protocol):
    """The part of PyTorch's `SummaryWriter` that is needed."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write a point."""

    def flush(self) -> None:
        """Have all points on disk."""

    def close(self) -> None:
        """End the file."""


class EventFiles:
    """Keeps event files as far as the histories of a study are.

    Files of an earlier call are removed, so that no point is there twice.

    Args:
        results: the folder of the study's results.
        open_writer: opens the event file of a training in a folder.
    """

    def __init__(self, results: Path, open_writer: Callable[[Path], Writer]) -> None:
        self._results, self._open = results, open_writer
        self._writers: dict[str, Writer] = {}
        self._last: dict[str, int] = {}
        self._first: dict[str, Mapping[str, float]] = {}
        self._scored: set[str] = set()

    @property
    def folder(self) -> Path:
        """Where the event files are."""
        return self._results / FOLDER

    def update(self) -> dict[str, int]:
        """Write what histories and scores have in addition; return the number of new points by training.

        A training that was interrupted and goes on adds the steps that are new; one that began anew, whose
        first row is another, gets a new file.

        Raises:
            ArtifactError: A history is damaged.
        """
        return {name: self._update(name, path) for name, path in trainings(self._results).items()}

    def close(self) -> None:
        """End all files."""
        for writer in self._writers.values():
            writer.close()

    def _update(self, name: str, history: Path) -> int:
        rows = _rows(history)
        last = max((int(row["step"]) for row in rows), default=0)
        if name not in self._writers or (rows and rows[0] != self._first.get(name, rows[0])):
            self._begin(name)
        if rows:
            self._first[name] = rows[0]
        points = [point for row in rows for point in _points(row) if point.step > self._last[name]]
        if name not in self._scored and (score := _score(self._results, name, history, last)):
            points.append(score)
            self._scored.add(name)
        for point in points:
            self._writers[name].add_scalar(point.tag, point.value, point.step)
        self._writers[name].flush()
        self._last[name] = max(last, self._last[name])
        return len(points)

    def _begin(self, name: str) -> None:
        if name in self._writers:
            self._writers[name].close()
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._writers[name], self._last[name] = self._open(folder), 0
        self._first.pop(name, None)
        self._scored.discard(name)


def trainings(results: Path) -> dict[str, Path]:
    """The histories of a study, by the place of their training: `segmenter`, `rounds/2/segmenter`, …"""
    places = ("*", "rounds/*/*", "full/*")
    found = sorted(path for place in places for path in results.glob(f"{place}/history.tsv"))
    return {path.parent.relative_to(results).as_posix(): path for path in found}


def open_writer(folder: Path) -> Writer:
    """Open an event file with PyTorch's writer.

    Raises:
        ModuleNotFoundError: tensorboard is not installed; the message says what installs it.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ModuleNotFoundError(NEEDED) from error
    writer: Writer = SummaryWriter(str(folder))
    return writer


def _rows(history: Path) -> Sequence[Mapping[str, float]]:
    """The rows of a history; none of one whose first line is half written."""
    try:
        columns = read_history(history)
    except ArtifactError:
        if b"\n" in history.read_bytes():
            raise
        return []
    names = list(columns)
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def _points(row: Mapping[str, float]) -> list[Point]:
    """The curves of a row: learning rate, images per second, epoch, the loss and its terms."""
    step = int(row["step"])
    return [Point(_tag(name), value, step) for name, value in row.items() if name != "step"]


def _tag(column: str) -> str:
    """TensorBoard gathers curves by what stands before the slash."""
    group = "training" if column in ("epoch", "learning_rate", "images_per_second") else "loss"
    return f"{group}/{column}"


def _score(results: Path, name: str, history: Path, step: int) -> Point | None:
    """The score of a trained network on images that it has not seen, as a point at its last step.

    None without one, or if the training is newer.
    """
    network = Path(name).name
    if network not in SCORES or not step:
        return None
    stage, key, called = SCORES[network]
    path = results / Path(name).parent / "scores" / f"{stage}.json"
    if not path.is_file() or path.stat().st_mtime_ns < history.stat().st_mtime_ns:
        return None
    metrics: Mapping[str, Any] = read_json(path)
    of = metrics if metrics.get("split") == "val" else metrics.get("val", {})
    value = of.get(key)
    return Point(f"score/{called} on val", float(value), step) if value is not None else None
