"""Two processes that train together do as one: gradients, weights, resumption, and how they end."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from tests.unit.conftest import Pictures
from wsss.models.affinitynet import build_affinitynet
from wsss.models.classifier import build_classifier
from wsss.models.segmenter import build_segmenter
from wsss.results import read_history
from wsss.results.checkpoints import load_checkpoint, save_checkpoint
from wsss.runtime.compute import Compute
from wsss.runtime.processes import ProcessError, in_processes, joined, share, total
from wsss.stages.affinitynet import AffinityLoss, train_affinitynet
from wsss.stages.classifier import ClassifierLoss
from wsss.stages.segmenter import SegmenterLoss, train_segmenter
from wsss.stages.training.batch_norm import share_batch_norms
from wsss.stages.training.loop import fit, together
from wsss.stages.training.optimizers import build_optimizer
from wsss.stages.training.pairs import FromFeatures
from wsss.stages.training.resume import ResumePoint
from wsss.stages.training.run import Run
from wsss.stages.training.sampling import Plan
from wsss.study.config import (
    AffinityNet,
    Classifier,
    CrossEntropy,
    OnFeatures,
    OnImages,
    Polynomial,
    Segmenter,
    Sgd,
)

CPU = torch.device("cpu")
ALONE = Compute(CPU, "float32")
TWO = Compute(CPU, "float32", devices=(CPU, CPU))
SGD = Sgd(learning_rate=0.02, head_lr_multiplier=10)
SIZE = 48


def double_losses(kind: str) -> nn.Module:
    """A module of losses around a network of trained batch norms without dropout, in float64."""
    torch.manual_seed(3)
    if kind == "classifier":
        return ClassifierLoss(build_classifier(Classifier(), 2)).double()
    if kind == "segmenter":
        section = Segmenter(weights="none", crop_size=SIZE)
        network = build_segmenter(section, 3).double()
        for layer in network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        weights = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
        return SegmenterLoss(network, CrossEntropy(), weights)
    section = AffinityNet(weights="none", radius=3, train_on=OnImages(batch_norm="trained"))
    network = build_affinitynet(section).double()
    if kind == "images":
        return AffinityLoss(network)
    network.backbone.freeze(len(network.backbone.stages), "frozen")
    return FromFeatures(AffinityLoss(network))


def double_sample(kind: str, index: int, generator: np.random.Generator) -> tuple[Tensor, ...]:
    """What the losses of a kind read: the images differ in how many labels they have."""
    image = torch.from_numpy(generator.normal(size=(3, SIZE, SIZE)))
    if kind == "classifier":
        return image, torch.tensor([1.0, index % 2], dtype=torch.float64)
    side = SIZE if kind == "segmenter" else SIZE // 8
    labels = torch.from_numpy(generator.integers(0, 3, (side, side)).astype(np.uint8))
    labels[:: index % 3 + 1] = 255
    if kind == "features":
        return torch.from_numpy(generator.normal(size=(side * side, 176))), labels
    return image, labels


def step_and_train(compute: Compute, folder: Path) -> None:
    """Write the gradient of one batch, and what ten steps make of the network, for each kind of losses."""
    for kind in KINDS:
        module = double_losses(kind)
        samples = [double_sample(kind, index, np.random.default_rng(index)) for index in range(4)]
        batch = [torch.stack(field) for field in zip(*share(samples), strict=True)]
        shared = together(module.train(), compute)
        shared(*batch)["loss"].backward()
        gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}

        trained = double_losses(kind)
        fit(
            trained,
            partial(double_sample, kind),
            plan=Plan(samples=8, batch_size=4, epochs=5, seed=1),
            optimizer=build_optimizer(trained.network, SGD),
            schedule=Polynomial(),
            compute=compute,
            history=folder / f"{kind}.tsv",
            resume=ResumePoint(None),
            label=kind,
        )
        if compute.leads:
            save_checkpoint(folder / f"{kind}.pt", {"gradients": gradients, "state": trained.state_dict()})


KINDS = ("classifier", "images", "features", "segmenter")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As many threads in one process as in each of two, which share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What `step_and_train` writes in one process, and in two."""
    alone, two = (tmp_path_factory.mktemp(name) for name in ("alone", "two"))
    in_processes(step_and_train, ALONE, alone)
    in_processes(step_and_train, TWO, two)
    return alone, two


def largest_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Largest difference of floating-point tensors, relative to their largest entry."""
    assert one.keys() == other.keys()
    names = [name for name, value in one.items() if value.is_floating_point()]
    largest = max(one[name].abs().max() for name in names)
    return float(max((one[name] - other[name]).abs().max() for name in names) / largest)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_compute_the_gradient_of_one(kind: str, results: tuple[Path, Path]) -> None:
    alone, two = (load_checkpoint(folder / f"{kind}.pt")["gradients"] for folder in results)
    assert any(name.startswith("network.backbone") for name in alone) == (kind != "features")
    assert largest_difference(alone, two) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_ten_steps_of_two_processes_end_with_the_weights_of_one(
    kind: str, results: tuple[Path, Path]
) -> None:
    alone, two = (load_checkpoint(folder / f"{kind}.pt")["state"] for folder in results)
    assert largest_difference(alone, two) < 1e-12
    assert all(value == 10 for name, value in two.items() if name.endswith("num_batches_tracked")) == (
        kind != "features"
    )
    one, other = (read_history(folder / f"{kind}.tsv") for folder in results)
    for column in set(one) - {"images_per_second"}:
        np.testing.assert_allclose(one[column], other[column], rtol=1e-5)


class Broken(ValueError):
    """Raised where images are read."""


class BreakingMasks(dict[str, np.ndarray]):
    """Masks that the second process can read so many times; what it is asked for then it cannot read."""

    def __init__(self, masks: Mapping[str, np.ndarray], readable: int) -> None:
        super().__init__(masks)
        self.readable = readable

    def __getitem__(self, image: str) -> np.ndarray:
        self.readable -= dist.get_rank()
        if self.readable < 0:
            raise Broken(f"image {image} of rank {dist.get_rank()}")
        return super().__getitem__(image)


def run_in(folder: Path, compute: Compute, resume: ResumePoint | None = None) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    names, resume = ("red", "blue"), resume or ResumePoint(None)
    return Run(folder / "checkpoint.pt", folder / "history.tsv", names, 0, compute, resume)


def test_an_error_in_one_process_stops_all_and_both_resume(pictures: Pictures, tmp_path: Path) -> None:
    section = Segmenter(weights="none", epochs=5, batch_size=4, crop_size=32, optimizer=SGD)
    whole = run_in(tmp_path / "whole", TWO)
    train_segmenter(pictures.rows, pictures.masks, section, whole)

    resume = ResumePoint(tmp_path / "state.pt", interval=0)
    broken = run_in(tmp_path / "broken", TWO, resume)
    with pytest.raises(Broken, match="of rank 1") as caught:
        train_segmenter(pictures.rows, BreakingMasks(pictures.masks, readable=15), section, broken)
    assert "in the process of rank 1" in caught.value.__notes__[0]
    assert not broken.checkpoint.exists()
    state = resume.load()
    assert state is not None
    assert [row["step"] for row in state["rows"]] == [3, 6]

    train_segmenter(pictures.rows, pictures.masks, section, broken)
    assert broken.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    assert read_history(broken.history)["step"].tolist() == read_history(whole.history)["step"].tolist()
    assert not resume.states


def test_two_processes_share_stored_features(pictures: Pictures, tmp_path: Path) -> None:
    """Each computes half of them; in float32, whose rounding training amplifies."""
    weights = tmp_path / "classifier.pt"
    torch.manual_seed(0)
    save_checkpoint(weights, build_classifier(Classifier(), 2).state_dict())
    section = AffinityNet(
        weights=str(weights), epochs=4, batch_size=4, train_on=OnFeatures(kind="features"), optimizer=SGD
    )
    states = []
    for name, compute in (("alone", ALONE), ("two", TWO)):
        run = run_in(tmp_path / name, compute)
        train_affinitynet(pictures.rows, pictures.masks, section, run)
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["checkpoint.pt", "history.tsv"]
        states.append(load_checkpoint(run.checkpoint)["state_dict"])
    assert largest_difference(*states) < 1e-4


def test_a_batch_that_processes_cannot_share_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    section = Segmenter(weights="none", batch_size=5)
    with pytest.raises(ValueError, match="batch_size: got 5, expected a multiple of 2"):
        train_segmenter(pictures.rows, pictures.masks, section, run_in(tmp_path, TWO))


class Idle(nn.Module):
    """Losses that do not depend on some of the parameters."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.used, self.unused = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, numbers: Tensor) -> dict[str, Tensor]:
        return {"loss": self.used(numbers).square().mean()}


def exchange(compute: Compute, folder: Path) -> None:
    """Share numbers, join and sum what came of them, and leave what no loss depends on."""
    squares = [number**2 for number in share(range(7))]
    assert squares == [number**2 for number in range(compute.rank, 7, 2)]
    assert joined(squares) == [number**2 for number in range(7)]
    assert total(torch.tensor([compute.rank, 1])).tolist() == [1, 2]
    module = Idle()
    shared = together(module, compute)
    for _ in range(3):
        shared(torch.ones(4, 2))["loss"].backward()
    assert module.used.weight.grad is not None
    assert module.unused.weight.grad is None  # else weight decay would shrink it
    normalise(compute)
    (folder / str(compute.rank)).touch()


def normalise(compute: Compute) -> None:
    """Compare batch norms, plain, cumulative, and with an activation in them, with those of one process."""
    images = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3, momentum=None), BatchNormAct2d(3))
    whole = copy.deepcopy(network)
    expected = [whole(images) for _ in range(3)][-1]
    share_batch_norms(network, compute.device)
    found = [network(share(images)) for _ in range(3)][-1]
    torch.testing.assert_close(found, share(expected))
    torch.testing.assert_close(network.state_dict(), whole.state_dict())
    torch.testing.assert_close(network.eval()(images), whole.eval()(images))


class Odd(nn.BatchNorm2d):
    """A batch norm that does something else besides."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = nn.Sigmoid()


def test_an_unknown_batch_norm_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), Odd(4))
    with pytest.raises(TypeError, match=r"1: Odd with gate cannot .* batch_norm: frozen"):
        share_batch_norms(network, CPU)


def test_processes_share_numbers_and_leave_idle_parameters(tmp_path: Path) -> None:
    in_processes(exchange, TWO, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


def die(compute: Compute) -> None:
    """End as if the machine ran out of memory, while the other process waits."""
    if compute.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    total(torch.zeros(1))


def test_a_killed_process_stops_the_other() -> None:
    with pytest.raises(ProcessError, match="process of rank 1 of 2 was ended by SIGKILL"):
        in_processes(die, TWO)


SCRIPT = """
import signal, sys, torch
from wsss.runtime import Compute
from wsss.runtime.processes import in_processes, total

def wait(compute):
    total(torch.zeros(1))
    if compute.rank == 1:
        signal.pause()
    print("both are here", flush=True)
    total(torch.zeros(1))  # for which the other process never comes

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    cpu = torch.device("cpu")
    in_processes(wait, Compute(cpu, devices=(cpu, cpu)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_job_leaves_no_process_behind(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, **pipes, env=environment, preexec_fn=heed_interrupts) as job:
        try:
            assert job.stdout is not None
            assert "both are here\n" in iter(job.stdout.readline, "")
            job.send_signal(number)
            job.communicate(timeout=60)  # ends when nobody holds the other end of the pipe
        finally:
            job.kill()
    assert job.returncode == {signal.SIGTERM: 143}.get(number, -number)


def heed_interrupts() -> None:
    """Undo what a shell does to jobs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
