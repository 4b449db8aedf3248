"""Training: what a step sees, the loop's schedule, errors and resumption, and three networks learning."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.unit.conftest import Pictures
from wsss.data import ImageRow
from wsss.data.images import Decoded, decode_image
from wsss.data.transforms import normalised
from wsss.method.cam import background_score
from wsss.method.confident import confident_labels
from wsss.method.metrics import average_precision
from wsss.method.refit import pooled_under_cams
from wsss.models.affinitynet import build_affinitynet, restore_affinitynet
from wsss.models.backbone import IMAGENET
from wsss.models.classifier import Classifier as ClassifierNetwork
from wsss.models.classifier import build_classifier, restore_classifier
from wsss.models.segmenter import build_segmenter, restore_segmenter
from wsss.results import read_history
from wsss.results.checkpoints import load_checkpoint
from wsss.runtime.compute import Compute
from wsss.stages.affinitynet import train_affinitynet
from wsss.stages.cams.classifier import classify
from wsss.stages.classifier import multi_hot, train_classifier
from wsss.stages.segmenter import (
    SegmenterLoss,
    class_weights,
    learned_masks,
    likeness,
    train_on_truth,
    train_segmenter,
)
from wsss.stages.training.loop import TrainingError, fit
from wsss.stages.training.optimizers import build_optimizer
from wsss.stages.training.pairs import augmentation, cell_labels, crop_cells
from wsss.stages.training.resume import ResumePoint, resume_path
from wsss.stages.training.run import Run
from wsss.stages.training.sampling import Plan, training_batches
from wsss.stages.training.schedules import rate_factor
from wsss.stages.training.selection import Selection, held_out
from wsss.study.config import (
    AdamW,
    AffinityNet,
    BootstrappedCrossEntropy,
    Classifier,
    Cosine,
    CrossEntropy,
    Equivariance,
    Loss,
    OnFeatures,
    OnImages,
    Polynomial,
    Schedule,
    Segmenter,
    Sgd,
    SymmetricCrossEntropy,
)
from wsss.study.config.networks import Selection as Kept

CPU = Compute(torch.device("cpu"), "float32")


@settings(deadline=None)
@given(
    samples=st.integers(1, 20),
    batch_size=st.integers(1, 9),
    epochs=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_a_plan_uses_each_image_once_per_epoch(samples: int, batch_size: int, epochs: int, seed: int) -> None:
    plan = Plan(samples, batch_size, epochs, seed)
    draws = [draw for step in range(plan.steps) for draw in plan.batch(step)]
    assert 0 <= len(draws) - epochs * samples < batch_size
    counts = Counter(draws[: epochs * samples])
    assert counts == Counter((epoch, image) for epoch in range(epochs) for image in range(samples))
    ends = [step for step in range(plan.steps) if plan.epoch_ends(step)]
    assert ends[-1] == plan.steps - 1
    if batch_size <= samples:
        assert len(ends) - epochs in (0, 1 if len(draws) % samples else 0)


@given(
    samples=st.integers(1, 20), share=st.integers(1, 4), processes=st.integers(1, 4), step=st.integers(0, 20)
)
def test_processes_see_together_what_one_would(samples: int, share: int, processes: int, step: int) -> None:
    plan = Plan(samples, share * processes, 3, seed=7)
    shares = [plan.batch(step, rank, processes) for rank in range(processes)]
    assert {len(draws) for draws in shares} == {share}
    assert Counter(draw for draws in shares for draw in draws) == Counter(plan.batch(step))


def test_processes_draw_noise_of_their_own() -> None:
    plan = Plan(10, 4, 3, seed=7)
    seeds = [plan.noise_seed(step, rank) for step in range(3) for rank in range(4)]
    assert len(set(seeds)) == len(seeds)
    assert plan.noise_seed(2) == np.random.SeedSequence((7, 2)).generate_state(1)[0]
    with pytest.raises(ValueError, match="batch_size: got 4, expected a multiple of 3"):
        plan.batch(0, 0, 3)


STEPS = 40


@pytest.mark.parametrize("power", [0.0, 0.9, 2.0])
def test_the_polynomial_schedule_falls_to_0(power: float) -> None:
    rates = [rate_factor(Polynomial(power=power), step, STEPS) for step in range(STEPS)]
    assert rates == [(1 - step / STEPS) ** power for step in range(STEPS)]


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_the_cosine_schedule_falls_along_half_a_cosine(final: float) -> None:
    schedule = Cosine(kind="cosine", final=final)
    rates = [rate_factor(schedule, step, STEPS) for step in range(STEPS)]
    assert rates[0] == 1
    assert rates[STEPS // 2] == pytest.approx((1 + final) / 2)
    assert rates[STEPS // 4] == pytest.approx(final + (1 - final) * (1 + 0.5**0.5) / 2)
    assert rates[-1] > final == pytest.approx(rate_factor(schedule, STEPS, STEPS))
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("schedule", [Polynomial(warmup=0.25), Cosine(kind="cosine", warmup=0.25)])
def test_a_warm_up_rises_linearly_to_the_schedule_of_the_remaining_steps(schedule: Schedule) -> None:
    rates = [rate_factor(schedule, step, STEPS) for step in range(STEPS)]
    assert rates[:10] == pytest.approx([step / 11 for step in range(1, 11)])
    after = schedule.model_copy(update={"warmup": 0.0})
    assert rates[10:] == [rate_factor(after, step, 30) for step in range(30)]


def test_a_warm_up_leaves_at_least_one_step() -> None:
    assert rate_factor(Polynomial(warmup=0.99), 0, 1) == 1
    assert rate_factor(Polynomial(warmup=0.99), 9, 10) == 1


def test_optimizers_have_the_settings_of_their_sections() -> None:
    network = build_classifier(Classifier(), 2)
    sgd = build_optimizer(network, Sgd(learning_rate=0.5, momentum=0.8))
    assert isinstance(sgd, torch.optim.SGD)
    assert {group["momentum"] for group in sgd.param_groups} == {0.8}
    assert sgd.param_groups[0]["lr"] == 0.5
    adamw = build_optimizer(network, AdamW(kind="adamw", learning_rate=0.25, beta1=0.7, beta2=0.8))
    assert isinstance(adamw, torch.optim.AdamW)
    assert {group["betas"] for group in adamw.param_groups} == {(0.7, 0.8)}
    assert adamw.param_groups[0]["lr"] == 0.25
    trained = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert trained == {id(p) for p in network.parameters()}


def test_another_seed_and_another_epoch_give_another_order() -> None:
    orders = [
        [draw.image for draw in Plan(50, 50, 3, seed).batch(step)] for seed in (0, 1) for step in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_a_plan_can_be_shorter_than_an_epoch_but_not_without_images() -> None:
    assert Plan(100, 8, 0.25, 0).steps == 4
    assert Plan(100, 8, 0.001, 0).steps == 1
    with pytest.raises(ValueError, match="at least one image"):
        Plan(0, 8, 1, 0)


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_do_not_depend_on_threads_or_on_where_training_resumes(workers: int) -> None:
    plan = Plan(7, 3, 4, seed=5)

    def read(index: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        return torch.tensor(index), torch.from_numpy(generator.random(2))

    expected = list(training_batches(read, plan, 0, CPU))
    resumed = list(training_batches(read, plan, 4, replace(CPU, workers=workers)))
    assert len(expected) == plan.steps
    assert expected[0][1].shape == (3, 2)
    for batch, again in zip(expected[4:], resumed, strict=True):
        assert all(map(torch.equal, batch, again))


class Toy(NamedTuple):
    """A network that learns to add noisy numbers, with what `fit` needs."""

    model: nn.Sequential
    optimizer: torch.optim.SGD
    plan: Plan


def toy(learning_rate: float = 0.01) -> Toy:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 2 * learning_rate}],
        lr=learning_rate,
        momentum=0.9,
    )
    return Toy(model, optimizer, Plan(samples=24, batch_size=4, epochs=6, seed=3))


def read_numbers(index: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    numbers = np.random.default_rng(index).random(4) + 0.1 * generator.random(4)
    return torch.from_numpy(numbers).float(), torch.tensor([numbers.sum()]).float()


class SquaredError(nn.Module):
    """Losses that count their calls and multiply the loss by what ``spoil`` says."""

    def __init__(self, model: nn.Module, spoil: Callable[[int], float] = lambda step: 1.0) -> None:
        super().__init__()
        self.model, self.spoil, self.calls = model, spoil, 0

    def forward(self, numbers: Tensor, sums: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        error = (self.model(numbers) - sums).abs()
        return {"loss": error.square().mean() * self.spoil(self.calls), "error": error.mean()}


def fit_toy(
    toy: Toy, folder: Path, resume: ResumePoint | None = None, **changes: Any
) -> dict[str, np.ndarray]:
    """Run `fit`; return the history."""
    arguments = {
        "plan": toy.plan,
        "optimizer": toy.optimizer,
        "schedule": Polynomial(power=0.9),
        "compute": CPU,
        "history": folder / "history.tsv",
        "resume": resume or ResumePoint(None),
        "label": "toy",
    }
    losses = changes.pop("losses", SquaredError(toy.model))
    fit(losses, read_numbers, **{**arguments, **changes})
    return read_history(folder / "history.tsv")


def test_fit_learns_and_its_history_follows_the_schedule(tmp_path: Path) -> None:
    start = toy()
    history = fit_toy(start, tmp_path)
    steps = start.plan.steps
    assert history["step"].tolist() == [6, 10, 12, 18, 20, 24, 30, 36]  # every 10, and after each epoch
    np.testing.assert_allclose(history["epoch"], history["step"] * 4 / 24)
    np.testing.assert_allclose(history["learning_rate"], 0.01 * (1 - (history["step"] - 1) / steps) ** 0.9)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert (history["error"] > 0).all()
    assert (history["images_per_second"] > 0).all()
    assert [group["lr"] for group in start.optimizer.param_groups][1] == pytest.approx(
        2 * history["learning_rate"][-1]
    )


class Killed(Exception):
    """Stands in for SIGKILL."""


@pytest.mark.parametrize("killed_at", [5, 15, 36])
def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path: Path, killed_at: int) -> None:
    whole = toy()
    expected = fit_toy(whole, tmp_path / "whole")

    def kill(step: int) -> float:
        if step == killed_at:
            raise Killed
        return 1.0

    broken = toy()
    resume = ResumePoint(tmp_path / "state.pt", interval=0)
    with pytest.raises(Killed):
        fit_toy(broken, tmp_path / "a", resume, losses=SquaredError(broken.model, kill))
    assert bool(resume.states) == (killed_at > 6)

    again = toy()
    torch.manual_seed(99)
    shutil.rmtree(tmp_path / "a")  # Snakemake deletes outputs before it starts a job again
    history = fit_toy(again, tmp_path / "a", resume)
    assert states_equal(whole.model, again.model)
    for column in set(expected) - {"images_per_second"}:
        np.testing.assert_array_equal(history[column], expected[column])


def states_equal(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def test_state_is_saved_when_its_time_has_come(tmp_path: Path) -> None:
    times = iter([0.0, 60.0, 120.0, 121.0, 180.0, 250.0, 251.0])
    resume = ResumePoint(tmp_path / "state.pt", interval=120, clock=lambda: next(times))
    kept = []
    for number in range(4):
        resume.save_if_due(lambda number=number: {"number": number})
        kept.append(resume.load())
    assert kept == [None, {"number": 1}, {"number": 1}, {"number": 3}]
    resume.discard()
    assert resume.load() is None
    resume.discard()


def test_the_state_is_named_by_the_facts(tmp_path: Path) -> None:
    facts = ({"epochs": 3}, {"wsss.stages.training": "ab12"}, {"dataset/train.tsv": "cd34"})
    path = resume_path(tmp_path / "checkpoint.pt", *facts)
    assert path.parent == tmp_path / ".resume"
    assert path == resume_path(str(tmp_path / "checkpoint.pt"), *facts)
    assert path != resume_path(tmp_path / "checkpoint.pt", {"epochs": 4}, *facts[1:])
    assert path != resume_path(tmp_path / "other.pt", *facts)


def saved_states(folder: Path, numbers: Iterable[int]) -> ResumePoint:
    resume = ResumePoint(folder / "state.pt", interval=0)
    for number in numbers:
        resume.save_if_due(lambda number=number: {"number": number})
    return resume


def flip_a_bit(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << place % 8
    path.write_bytes(content)


@pytest.mark.parametrize("place", range(0, 1000, 97))
def test_a_damaged_state_falls_back_to_the_one_before_it_and_then_to_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    resume = saved_states(tmp_path, range(3))
    newest, older = resume.states
    assert resume.load() == {"number": 2}
    flip_a_bit(newest, place)
    assert resume.load() == {"number": 1}
    assert f"going on from the state before it: {newest}" in caplog.text
    flip_a_bit(older, place)
    assert resume.load() is None
    assert f"starting anew: {older}" in caplog.text


def test_a_damaged_state_is_replaced_by_the_next_one(tmp_path: Path) -> None:
    resume = saved_states(tmp_path / "states", [1])
    flip_a_bit(resume.states[0], 100)
    saved_states(tmp_path / "states", [2, 3])
    assert resume.load() == {"number": 3}
    assert len(resume.states) == 2
    resume.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_was_cut_short_is_not_read(tmp_path: Path) -> None:
    resume = saved_states(tmp_path, [1])
    resume.states[0].write_bytes(b"half a file")
    assert resume.load() is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path, value: float) -> None:
    start = toy()
    spoiled = SquaredError(start.model, lambda step: value if step == 13 else 1.0)
    resume = ResumePoint(tmp_path / "state.pt", interval=0)
    with pytest.raises(
        TrainingError, match=r"steps 13–18, at a learning rate of 0\.00.*Lower toy.optimizer.learning_rate"
    ):
        fit_toy(start, tmp_path, resume, losses=spoiled)
    state = resume.load()
    assert state is not None
    assert [row["step"] for row in state["rows"]] == [6, 10, 12]
    assert all(weight.isfinite().all() for weight in state["module"].values())


def test_weights_that_are_not_finite_stop_the_training(tmp_path: Path) -> None:
    start = toy()

    class InfinitelySteep(SquaredError):
        def forward(self, numbers: Tensor, sums: Tensor) -> dict[str, Tensor]:
            self.calls += 1
            error = self.model(numbers) - sums
            return {"loss": ((0 * error).abs().sqrt() if self.calls == 6 else error).sum()}

    with pytest.raises(TrainingError, match="weights are no longer finite after steps 1–6"):
        fit_toy(start, tmp_path, losses=InfinitelySteep(start.model))


def run_in(folder: Path, **changes: Any) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(folder / "checkpoint.pt", folder / "history.tsv", ("red", "blue"), seed=0, compute=CPU)
    return replace(run, **changes)


SGD = Sgd(learning_rate=0.02, head_lr_multiplier=10)
CLASSIFIER = Classifier(epochs=8, batch_size=4, crop_size=32, optimizer=SGD, dropout=0.2)
AFFINITYNET = AffinityNet(
    weights="none",
    train_on=OnImages(batch_norm="trained"),
    epochs=12,
    batch_size=4,
    crop_size=80,
    optimizer=Sgd(learning_rate=0.03, head_lr_multiplier=10),
)
SEGMENTER = Segmenter(weights="none", epochs=8, batch_size=4, crop_size=32, optimizer=SGD)


@pytest.fixture(scope="module")
def classifier(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = run_in(tmp_path_factory.mktemp("classifier"))
    train_classifier(pictures.rows, CLASSIFIER, run)
    return run


def test_the_classifier_learns_colours(pictures: Pictures, classifier: Run) -> None:
    history = read_history(classifier.history)
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    model = restore_classifier(classifier.checkpoint).network
    rows, logits = zip(*classify(model, pictures.rows, compute=CPU), strict=True)
    assert average_precision(torch.stack(logits), multi_hot(rows, 2)).min() > 0.95
    content = load_checkpoint(classifier.checkpoint)
    assert content["class_names"] == ["red", "blue"]
    assert content["section"]["epochs"] == 8
    assert not model.training


def test_a_classifier_learns_from_views(pictures: Pictures, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    section = CLASSIFIER.model_copy(update={"equivariance": Equivariance(weight=0.5)})
    train_classifier(pictures.rows, section, run)
    history = read_history(run.history)
    terms = zip(*(history[name] for name in ("loss", "labels", "equivariance")), strict=True)
    for loss, labels, equivariance in terms:
        assert loss == pytest.approx(labels + equivariance / 2, rel=1e-4)
        assert 0 < equivariance < 1
    assert history["labels"][-1] < 0.8 * history["labels"][0]


def test_a_second_head_tells_labels_apart_and_changes_no_other(
    pictures: Pictures, classifier: Run, tmp_path: Path
) -> None:
    run = run_in(tmp_path)
    train_classifier(pictures.rows, CLASSIFIER.model_copy(update={"refit": 0.5}), run)
    history = read_history(run.history)
    for loss, labels, refit in zip(*(history[name] for name in ("loss", "labels", "refit")), strict=True):
        assert loss == pytest.approx(labels + 0.5 * refit, rel=1e-4)
    assert history["refit"][-1] < 0.8 * history["refit"][0]
    model = restore_classifier(run.checkpoint).network
    state = model.state_dict()
    del state["refit.weight"]
    without = restore_classifier(classifier.checkpoint).network.state_dict()
    assert state.keys() == without.keys()
    assert all(torch.equal(state[name], without[name]) for name in state)
    rows = [row for row in pictures.rows if len(row.labels) == 1]
    assert [named(model, row) for row in rows] == [row.labels[0] for row in rows]


@torch.no_grad()
def named(model: ClassifierNetwork, row: ImageRow) -> int:
    """The class that the second head gives to what the CAM of an image's one label covers."""
    image = normalised(row.photograph(), model.backbone.normalization)[None]
    pooled = pooled_under_cams(model.features(image), model.cam(image))[0, row.labels[0]]
    layer = model.head("refit")
    return int((layer.weight.flatten(1) @ pooled).argmax())


def test_an_interrupted_classifier_ends_with_the_same_checkpoint(
    pictures: Pictures, classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = resume_path(tmp_path / "checkpoint.pt", CLASSIFIER.model_dump())
    run = run_in(tmp_path, resume=ResumePoint(state, interval=0))
    with monkeypatch.context() as patch:
        patch.setattr("wsss.data.manifest.decode_image", until_killed(decode_image, calls=31))
        with pytest.raises(Killed):
            train_classifier(pictures.rows, CLASSIFIER, run)
    assert run.resume.states
    assert not run.checkpoint.exists()
    reads: list[Path] = []
    monkeypatch.setattr(
        "wsss.data.manifest.decode_image",
        lambda content, path: reads.append(path) or decode_image(content, path),
    )
    train_classifier(pictures.rows, CLASSIFIER, run)
    assert run.checkpoint.read_bytes() == classifier.checkpoint.read_bytes()
    assert len(reads) == 12 * (8 - 2)  # two epochs were not trained again
    assert not state.parent.exists()


def until_killed(read: Callable[[bytes, Path], Decoded], calls: int) -> Callable[[bytes, Path], Decoded]:
    """A function that decodes so many images and then is killed."""
    remaining = iter(range(calls))

    def read_or_die(content: bytes, path: Path) -> Decoded:
        if next(remaining, None) is None:
            raise Killed
        return read(content, path)

    return read_or_die


def test_frozen_stages_keep_their_weights(pictures: Pictures, classifier: Run, tmp_path: Path) -> None:
    config = CLASSIFIER.model_copy(
        update={
            "weights": str(classifier.checkpoint),
            "frozen_stages": 2,
            "batch_norm": "frozen",
            "epochs": 1,
        }
    )
    train_classifier(pictures.rows, config, run := run_in(tmp_path))
    before, after = (
        restore_classifier(path).network.backbone for path in (classifier.checkpoint, run.checkpoint)
    )
    assert states_equal(before.stem, after.stem)
    assert states_equal(before.early, after.early)
    assert not states_equal(before.last, after.last)


def test_a_diverging_training_leaves_no_checkpoint(pictures: Pictures, tmp_path: Path) -> None:
    run = run_in(tmp_path)
    with pytest.raises(TrainingError, match="diverged"):
        train_classifier(
            pictures.rows, CLASSIFIER.model_copy(update={"optimizer": Sgd(learning_rate=1e30)}), run
        )
    assert not run.checkpoint.exists()


def test_affinitynet_learns_borders(pictures: Pictures, tmp_path: Path) -> None:
    train_affinitynet(pictures.rows, pictures.masks, AFFINITYNET, run := run_in(tmp_path))
    history = read_history(run.history)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    terms = history["background"] / 4 + history["foreground"] / 4 + history["different"] / 2
    np.testing.assert_allclose(history["loss"], terms, rtol=1e-4)
    assert restore_affinitynet(run.checkpoint).network.radius == 5


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(75, 117), (96, 40), (131, 96)])
def test_pooled_labels_of_a_crop_are_those_of_the_published_order(size: tuple[int, int], seed: int) -> None:
    """Scores are cropped and mirrored with the image, averaged over 8x8 pixels, and then decide."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 2, 6, 8, generator=generator)
    cams = nn.functional.interpolate(coarse**3, size, mode="bilinear")[0]
    labels = confident_labels(cams, [3, 9], low_alpha=1, high_alpha=4, pool=8)
    rows, columns = np.indices(size).astype(np.uint8)
    places = np.dstack([rows, columns, np.full(size, 255, np.uint8)])
    config = AFFINITYNET.model_copy(update={"crop_size": 96, "input_scale": 1.0})
    still = OnImages(jitter=(0, 0, 0, 0))
    view, cropped = augmentation(config, still, lambda image: image, pooled=True)(
        places, labels.numpy(), np.random.default_rng(seed)
    )
    assert cropped is not None
    row, column, inside = (view * 255).round().long()
    winners = []
    for alpha in (1, 4):
        scores = torch.cat([background_score(cams, alpha)[None], cams])[:, row, column] * (inside > 0)
        winners.append(nn.functional.avg_pool2d(scores, 8))
    expected = torch.tensor([255, 3, 9])[winners[0].argmax(0)]
    expected[winners[1].argmax(0) == 0] = 0
    expected[torch.cat(winners).amax(0) < 1e-5] = 255
    assert torch.equal(cell_labels(cropped, pooled=True).long(), expected)
    assert len(expected.unique()) >= 3


def test_affinitynet_pads_as_its_section_says() -> None:
    for padding in ("mean", "black"):
        views = augmentation(AFFINITYNET, OnImages(padding=padding), IMAGENET, pooled=False)
        view, _ = views(np.full((8, 8, 3), 128, np.uint8), None, np.random.default_rng(0))
        expected = torch.zeros(3) if padding == "mean" else IMAGENET(torch.zeros(3, 1, 1)).flatten()
        assert any(torch.equal(view[:, y, x], expected) for y in (0, -1) for x in (0, -1))


@pytest.mark.parametrize("pooled", [False, True])
def test_affinitynet_keeps_frozen_stages(
    pictures: Pictures, classifier: Run, tmp_path: Path, pooled: bool
) -> None:
    update = {"weights": "classifier", "train_on": OnImages(frozen_stages=2), "epochs": 1, "input_scale": 1.0}
    config = AFFINITYNET.model_copy(update=update)
    train_affinitynet(
        pictures.rows,
        pictures.masks,
        config,
        run := run_in(tmp_path),
        classifier=classifier.checkpoint,
        pooled=pooled,
    )
    before, after = (
        restore_classifier(classifier.checkpoint).network,
        restore_affinitynet(run.checkpoint).network,
    )
    assert states_equal(before.backbone.stem, after.backbone.stem)
    assert states_equal(before.backbone.early, after.backbone.early)
    assert not states_equal(before.backbone.last, after.backbone.last)


def test_affinitynet_on_stored_features_leaves_the_backbone_alone(
    pictures: Pictures, classifier: Run, tmp_path: Path
) -> None:
    config = AFFINITYNET.model_copy(update={"weights": "classifier", "train_on": OnFeatures(kind="features")})
    run = run_in(tmp_path)
    train_affinitynet(pictures.rows, pictures.masks, config, run, classifier=classifier.checkpoint)
    history = read_history(run.history)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    before, after = (
        restore_classifier(classifier.checkpoint).network,
        restore_affinitynet(run.checkpoint).network,
    )
    assert states_equal(before.backbone, after.backbone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "history.tsv"]


def test_affinitynet_skips_images_without_pairs(
    pictures: Pictures, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    undecided = {name: np.full_like(mask, 255) for name, mask in pictures.masks.items()}
    config = AFFINITYNET.model_copy(update={"epochs": 1})
    with pytest.raises(ValueError, match="the confident regions of all 12 images hold no pair"):
        train_affinitynet(pictures.rows, undecided, config, run_in(tmp_path))
    some = undecided | {name: pictures.masks[name] for name in ("3", "8")}
    train_affinitynet(pictures.rows, some, config, run_in(tmp_path))
    assert "confident pairs in 2 of 12 images" in caplog.text
    assert "1 steps of 4 from 2 images" in caplog.text


def test_the_border_of_the_crop_is_not_that_of_the_image(pictures: Pictures, tmp_path: Path) -> None:
    """At 5 x 6 cells, cropped geometry would leave no pair in the image; in a crop of 10 x 10 it does."""
    update = {"epochs": 1, "input_scale": 1.0, "border": "cropped"}
    config = AFFINITYNET.model_copy(update=update)
    train_affinitynet(pictures.rows, pictures.masks, config, run := run_in(tmp_path))
    assert (read_history(run.history)["loss"] > 0).all()


def test_a_finished_classifier_is_taken_as_it_is(
    pictures: Pictures, classifier: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = str(classifier.checkpoint)
    config = CLASSIFIER.model_copy(update={"epochs": 0.0, "weights": weights})
    monkeypatch.setattr("wsss.data.manifest.decode_image", None)  # no image is looked at
    train_classifier(pictures.rows, config, run := run_in(tmp_path))
    assert states_equal(restore_classifier(weights).network, restore_classifier(run.checkpoint).network)
    assert {len(values) for values in read_history(run.history).values()} == {0}
    with pytest.raises(ValueError, match=r"no finished Classifier:\s+fc8\.weight: got \(2, .*expected \(3, "):
        train_classifier(pictures.rows, config, replace(run, class_names=("red", "blue", "green")))


def test_a_finished_affinitynet_needs_all_its_entries(
    pictures: Pictures, classifier: Run, tmp_path: Path
) -> None:
    with torch.random.fork_rng():
        finished = build_affinitynet(AFFINITYNET).state_dict()
    torch.save({f"module.{key}": value for key, value in finished.items()}, tmp_path / "aff.pth")
    config = AFFINITYNET.model_copy(update={"epochs": 0.0, "weights": str(tmp_path / "aff.pth")})
    train_affinitynet([], {}, config, run := run_in(tmp_path / "run"))
    restored = restore_affinitynet(run.checkpoint).network.state_dict()
    assert all(torch.equal(restored[key], value) for key, value in finished.items())

    wrong = config.model_copy(update={"weights": str(classifier.checkpoint)})
    with pytest.raises(ValueError, match="no finished AffinityNet") as caught:
        train_affinitynet([], {}, wrong, run_in(tmp_path / "wrong"))
    assert "missing f8_3.weight (64, 48, 1, 1)" in str(caught.value)
    assert "unknown fc8.weight" in str(caught.value)
    assert not (tmp_path / "wrong" / "checkpoint.pt").exists()


def test_missing_labels_and_weights_are_refused(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="12 of 12 images have no pseudo mask, the first is '0'"):
        train_segmenter(pictures.rows, {}, SEGMENTER, run_in(tmp_path))
    with pytest.raises(ValueError, match="weights: classifier: no checkpoint"):
        train_affinitynet(pictures.rows, pictures.masks, AffinityNet(), run_in(tmp_path))


@pytest.mark.parametrize("side", [3, 6, 9])
def test_cells_are_cut_from_features_and_labels_alike(side: int) -> None:
    height, width = 5, 8
    labels = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    features = np.stack([labels, 2 * labels], axis=-1).astype(np.float16)
    seen = set()
    for seed in range(150):
        cut, cut_labels = crop_cells(features, labels, side, np.random.default_rng(seed))
        assert cut.shape == (side * side, 2)
        inside = cut_labels != 255
        assert inside.sum() == min(side, height) * min(side, width)
        torch.testing.assert_close(cut.view(side, side, 2)[..., 0][inside], cut_labels[inside].half())
        assert cut.max() <= 2 * labels.max()
        seen.add(int(cut_labels[0, 0]))
    assert len(seen) == max(height - side + 1, 1) * max(width - side + 1, 1)


def test_the_segmenter_learns_pseudo_masks(pictures: Pictures, classifier: Run, tmp_path: Path) -> None:
    config = SEGMENTER.model_copy(update={"weights": "classifier"})
    run = run_in(tmp_path)
    train_segmenter(pictures.rows, pictures.masks, config, run, classifier=classifier.checkpoint)
    history = read_history(run.history)
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert restore_segmenter(run.checkpoint).network(torch.zeros(1, 3, 16, 16)).shape == (1, 3, 16, 16)


class Given(nn.Module):
    """A network that gives the same logits for any image."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def coarse(self, images: Tensor) -> Tensor:
        return self.logits


def test_the_loss_is_a_weighted_mean_over_the_known_pixels() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    masks = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).repeat(10).view(2, 4, 5)
    weights = torch.tensor([0.5, 2.0, 3.0])
    loss = SegmenterLoss(cast(Any, Given(logits)), CrossEntropy(), weights)
    expected = nn.functional.cross_entropy(logits, masks.long(), weights, ignore_index=255)
    torch.testing.assert_close(loss(torch.zeros(2, 3, 4, 5), masks)["loss"], expected)
    assert loss(torch.zeros(2, 3, 4, 5), torch.full_like(masks, 255))["loss"] == 0


def test_the_loss_is_that_of_the_logits_at_full_size() -> None:
    network = build_segmenter(SEGMENTER, 3).eval()
    images = torch.rand(3, 3, 24, 16, generator=torch.Generator().manual_seed(0))
    masks = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).repeat(3 * 24 * 4).view(3, 24, 16)
    found = SegmenterLoss(network, CrossEntropy(), torch.ones(3))(images, masks)["loss"]
    expected = nn.functional.cross_entropy(network(images), masks.long(), ignore_index=255)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_classes_weigh_by_their_share_of_the_pixels(balance: float) -> None:
    masks = [np.repeat(np.array([0, 1, 255], np.uint8), (60, 20, 40)), np.repeat(np.array([0], np.uint8), 20)]
    weights = class_weights(masks, 3, balance).double()
    shares = torch.tensor([0.8, 0.2], dtype=torch.float64)
    assert weights[2] == 1, "a class without a pixel"
    assert (weights[:2] * shares).sum().item() == pytest.approx(1)
    assert (weights[1] / weights[0]).item() == pytest.approx(4**balance)


def test_pixels_without_a_margin_are_not_learned(pictures: Pictures) -> None:
    margins = {name: np.full_like(mask, 255) for name, mask in pictures.masks.items()}
    first = next(iter(margins))
    margins[first][:2] = 127
    margins[first][2:4] = 128
    section = SEGMENTER.model_copy(update={"least_margin": 0.5})
    learned = learned_masks(pictures.masks, margins, None, section, {})
    assert (learned[first][:2] == 255).all()
    assert np.array_equal(learned[first][2:], pictures.masks[first][2:])
    assert list(learned) == list(pictures.masks)
    assert learned_masks(pictures.masks, {}, None, SEGMENTER, {}) is pictures.masks
    with pytest.raises(ValueError, match=f"1 pseudo masks have no margins, the first is '{first}'"):
        learned_masks(pictures.masks, dict(list(margins.items())[1:]), None, section, {})


def test_pixels_of_which_two_masks_differ_are_not_learned(pictures: Pictures) -> None:
    others = dict(pictures.masks)
    first, second = list(others)[:2]
    others[first] = np.where(np.arange(len(others[first]))[:, None] < 3, 9, others[first]).astype(np.uint8)
    section = SEGMENTER.model_copy(update={"agreed_with": "results/other/random_walk"})
    learned = learned_masks(pictures.masks, {}, None, section, others)
    assert (learned[first][:3] == 255).all()
    assert np.array_equal(learned[first][3:], pictures.masks[first][3:])
    assert np.array_equal(learned[second], pictures.masks[second])
    with pytest.raises(ValueError, match=f"results/other/random_walk: 12 images .* first is '{first}'"):
        learned_masks(pictures.masks, {}, None, section, {})
    others[first] = others[first][1:]
    with pytest.raises(ValueError, match=f"{first}: its masks have"):
        learned_masks(pictures.masks, {}, None, section, others)[first]


@given(items=st.integers(2, 50), share=st.floats(0, 0.99))
def test_images_are_held_out_evenly(items: int, share: float) -> None:
    learned, compared = held_out(range(items), share)
    assert sorted(learned + compared) == list(range(items))
    assert learned
    assert len(compared) == min(max(1, round(share * items)), items - 1)
    gaps = np.diff(compared)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_nothing_is_left_to_learn_from_if_the_only_image_is_held_out() -> None:
    with pytest.raises(ValueError, match="at least 2 of them, got 1"):
        held_out(["a"], 0.5)


@pytest.mark.parametrize(
    ("of", "steps", "compared"), [(1, 36, [36]), (2, 36, [27, 36]), (3, 10, [7, 9, 10]), (9, 3, [2, 3])]
)
def test_states_of_the_second_half_are_compared(of: int, steps: int, compared: list[int]) -> None:
    selection = Selection(of, lambda: 0.0, "score")
    assert [done for done in range(1, steps + 1) if selection.due(done, steps)] == compared


@pytest.mark.parametrize("killed_at", [None, 30, 35])
def test_the_best_state_is_kept_and_survives_a_kill(tmp_path: Path, killed_at: int | None) -> None:
    """Of the states after 24, 30 and 36 steps the second is said to be the best."""
    last, expected = toy(), toy()
    fit_toy(last, tmp_path / "last")
    scores = {24: 0.5, 30: 0.7, 36: 0.6}
    seen: dict[int, dict[str, Tensor]] = {}

    def trained(start: Toy, kill: Callable[[int], float], resume: ResumePoint) -> None:
        losses = SquaredError(start.model, kill)

        def score() -> float:
            done = next(step for step in scores if step not in seen)
            seen[done] = {name: value.clone() for name, value in losses.state_dict().items()}
            return scores[done]

        fit_toy(start, tmp_path / "a", resume, losses=losses, selection=Selection(3, score, "a score"))

    def kill(step: int) -> float:
        if step == killed_at:
            raise Killed
        return 1.0

    resume = ResumePoint(tmp_path / "state.pt", interval=0)
    if killed_at:
        with pytest.raises(Killed):
            trained(toy(), kill, resume)
        shutil.rmtree(tmp_path / "a")
        for lost in [step for step in seen if step > max(24, killed_at // 6 * 6 - (killed_at == 30) * 6)]:
            del seen[lost]
    trained(expected, lambda step: 1.0, resume)
    assert list(seen) == [24, 30, 36]
    found = {f"model.{name}": value for name, value in expected.model.state_dict().items()}
    assert all(torch.equal(found[name], seen[30][name]) for name in found)
    assert not states_equal(expected.model, last.model)
    assert all(
        torch.equal(seen[36][f"model.{name}"], value) for name, value in last.model.state_dict().items()
    )


def test_the_segmenter_keeps_the_state_that_is_most_like_masks_held_out(
    pictures: Pictures, classifier: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    update = {"weights": "classifier", "selection": Kept(of=3, held_out=0.25)}
    section, run = SEGMENTER.model_copy(update=update), run_in(tmp_path)
    train_segmenter(pictures.rows, pictures.masks, section, run, classifier=classifier.checkpoint)
    said = [message for message in caplog.messages if "mIoU with the masks of 3 images held out" in message]
    scores = [float(message.split("out ")[1].split(" %")[0]) for message in said]
    assert len(scores) == 3
    _, compared = held_out(pictures.rows, 0.25)
    kept = likeness(restore_segmenter(run.checkpoint).network, compared, pictures.masks, CPU)
    assert 100 * kept == pytest.approx(max(scores), abs=0.01)


@pytest.mark.parametrize(
    "loss", [SymmetricCrossEntropy(kind="symmetric"), BootstrappedCrossEntropy(kind="bootstrapped")]
)
def test_the_segmenter_learns_with_losses_that_resist_noise(
    pictures: Pictures, classifier: Run, tmp_path: Path, loss: Loss
) -> None:
    section = SEGMENTER.model_copy(update={"weights": "classifier", "loss": loss, "balance": 0.5})
    run = run_in(tmp_path)
    train_segmenter(pictures.rows, pictures.masks, section, run, classifier=classifier.checkpoint)
    history = read_history(run.history)
    assert history["loss"][-1] < 0.7 * history["loss"][0]


def test_full_supervision_takes_as_many_steps_with_fewer_images(
    pictures: Pictures, classifier: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    section = SEGMENTER.model_copy(update={"weights": "classifier"})
    weak, full = run_in(tmp_path / "weak"), run_in(tmp_path / "full")
    known = {row.id: pictures.masks[row.id] for row in pictures.rows[:5]}
    train_segmenter(pictures.rows, pictures.masks, section, weak, classifier=classifier.checkpoint)
    train_on_truth(pictures.rows, known, section, full, classifier=classifier.checkpoint)
    assert f"true masks of 5 of {len(pictures.rows)} images" in caplog.text
    steps = {line.split(" steps")[0].split()[-1] for line in caplog.messages if " steps of " in line}
    assert len(steps) == 1
    with pytest.raises(ValueError, match="none of the 12 training images has one"):
        train_on_truth(pictures.rows, {}, section, full, classifier=classifier.checkpoint)
