"""Event files of TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wsss.__main__ import app
from wsss.report.tensorboard import EventFiles, open_writer
from wsss.results import ArtifactError, HistoryWriter, write_json

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

RESULTS = Path("results/mine")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (RESULTS / "dataset").mkdir(parents=True)


@pytest.fixture
def files() -> Iterator[EventFiles]:
    found = EventFiles(RESULTS, open_writer)
    yield found
    found.close()


def train(name: str, steps: int, first: float = 1.0) -> None:
    """Write the history of a training, ten steps a row, as one that is resumed does: all rows anew."""
    with HistoryWriter(RESULTS / name / "history.tsv") as history:
        for step in range(10, steps + 1, 10):
            history.append(
                {
                    "step": step,
                    "epoch": step / 100,
                    "learning_rate": 0.1 / step,
                    "images_per_second": 50.0,
                    "loss": first / step,
                }
            )


def curves(name: str) -> dict[str, list[tuple[int, float]]]:
    """The points of a training's event files by curve."""
    read = accumulator.EventAccumulator(str(RESULTS / "tensorboard" / name), size_guidance={"scalars": 0})
    read.Reload()
    return {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def approximately(points: list[tuple[int, float]]) -> list[tuple[int, object]]:
    return [(step, pytest.approx(value)) for step, value in points]


def test_all_columns_of_all_trainings_are_curves(files: EventFiles) -> None:
    train("segmenter", 30)
    train("rounds/2/affinitynet", 20)
    train("full/segmenter", 10)
    assert files.update() == {"full/segmenter": 4, "rounds/2/affinitynet": 8, "segmenter": 12}
    found = curves("segmenter")
    assert found["loss/loss"] == approximately([(10, 0.1), (20, 0.05), (30, 1 / 30)])
    assert found["training/learning_rate"] == approximately([(10, 0.01), (20, 0.005), (30, 0.1 / 30)])
    assert found["training/images_per_second"] == [(10, 50.0), (20, 50.0), (30, 50.0)]
    assert found["training/epoch"] == approximately([(10, 0.1), (20, 0.2), (30, 0.3)])
    assert len(curves("rounds/2/affinitynet")["loss/loss"]) == 2


def test_a_training_that_is_resumed_has_each_step_once(files: EventFiles) -> None:
    train("classifier", 50)
    files.update()
    train("classifier", 30)  # killed; it goes on from the state that it saved
    assert files.update() == {"classifier": 0}
    train("classifier", 70)
    assert files.update() == {"classifier": 8}
    assert [step for step, _ in curves("classifier")["loss/loss"]] == [10, 20, 30, 40, 50, 60, 70]


def test_a_training_that_begins_anew_begins_a_new_file(files: EventFiles) -> None:
    train("classifier", 50)
    files.update()
    train("classifier", 20, first=7.0)
    files.update()
    assert curves("classifier")["loss/loss"] == approximately([(10, 0.7), (20, 0.35)])


def test_a_second_call_doubles_nothing() -> None:
    train("classifier", 50)
    for _ in range(2):
        files = EventFiles(RESULTS, open_writer)
        files.update()
        files.close()
    assert [step for step, _ in curves("classifier")["loss/loss"]] == [10, 20, 30, 40, 50]


def test_the_score_on_val_is_a_point_at_the_last_step_once_it_is_known(files: EventFiles) -> None:
    train("classifier", 20)
    train("segmenter", 40)
    files.update()
    assert "score/mAP on val" not in curves("classifier")
    write_json(RESULTS / "scores/classifier.json", {"map": 0.75, "split": "val"})
    write_json(RESULTS / "scores/segmentation.json", {"miou": 0.1, "val": {"miou": 0.5}, "split": "train"})
    assert files.update() == {"classifier": 1, "segmenter": 1}
    assert curves("classifier")["score/mAP on val"] == [(20, 0.75)]
    assert curves("segmenter")["score/mIoU on val"] == [(40, 0.5)]


def test_the_score_of_an_earlier_training_is_none_of_this_one(files: EventFiles) -> None:
    write_json(RESULTS / "scores/classifier.json", {"map": 0.75, "split": "val"})
    train("classifier", 20)
    os.utime(RESULTS / "scores/classifier.json", ns=(0, 0))
    files.update()
    assert set(curves("classifier")) == {
        "loss/loss",
        "training/epoch",
        "training/images_per_second",
        "training/learning_rate",
    }


def test_a_loss_that_is_no_number_is_shown_as_such(files: EventFiles) -> None:
    train("classifier", 10, first=math.nan)
    files.update()
    assert math.isnan(curves("classifier")["loss/loss"][0][1])


def test_a_damaged_history_is_named(files: EventFiles) -> None:
    train("classifier", 20)
    history = RESULTS / "classifier/history.tsv"
    history.write_text(history.read_text().replace("50", "x"))
    with pytest.raises(ArtifactError, match=r"results/mine/classifier/history\.tsv:2"):
        files.update()


def test_the_command_says_what_shows_the_curves() -> None:
    train("classifier", 20)
    done = CliRunner().invoke(app, ["tensorboard", "results/mine"])
    assert done.exit_code == 0, done.output
    assert "classifier: 8 points\nwrote results/mine/tensorboard/" in done.stdout
    assert "  tensorboard --logdir results/mine/tensorboard\n" in done.stdout
    assert len(curves("classifier")["loss/loss"]) == 2


def test_without_trainings_there_is_nothing_to_show() -> None:
    done = CliRunner().invoke(app, ["tensorboard", "results/mine"])
    assert done.exit_code == 2
    assert done.stderr.startswith("results/mine: no training has begun")


def test_without_the_package_one_sentence_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    train("classifier", 20)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = CliRunner().invoke(app, ["tensorboard", "results/mine"])
    assert done.exit_code == 2
    assert done.stderr == (
        "TensorBoard's event files need the package tensorboard: pip install 'wsss[tensorboard]'\n"
    )
