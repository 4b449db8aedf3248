"""The loop that trains all three networks: a polynomial schedule, a history, a state to resume from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsss.results import HistoryWriter
from wsss.runtime import Compute, progress
from wsss.stages.training.resume import ResumePoint
from wsss.stages.training.sampling import Plan, ReadSample, Sample, training_batches

STEPS_PER_ROW = 10
"""Steps from one row of the history to the next: reading the loss in every step would make a GPU wait."""

COLUMNS = ("step", "epoch", "learning_rate", "images_per_second", "loss")
"""Columns of every history; a loss function may add its terms."""

Losses = Mapping[str, Tensor]
LossFunction = Callable[..., Losses]
"""Computes scalars from the fields of a batch: "loss", which is minimised, and others for the history."""


class TrainingError(ValueError):
    """A training that cannot go on; it writes no checkpoint."""


def fit(
    model: nn.Module,
    read: ReadSample,
    loss_function: LossFunction,
    *,
    plan: Plan,
    optimizer: torch.optim.Optimizer,
    power: float,
    compute: Compute,
    history: Path,
    resume: ResumePoint,
    label: str,
) -> None:
    """Train a network in place.

    Order, augmentation and dropout are functions of the plan's seed and the step, so a resumed training ends
    with the weights of one that was never interrupted, on a CPU bit for bit.

    Args:
        model: the network that ``loss_function`` calls, on ``compute``'s device.
        read: makes the sample of an index.
        loss_function: see `LossFunction`; runs under ``compute``'s autocast.
        plan: how many steps, and which images in each.
        optimizer: with the learning rates of the first step.
        power: exponent of the schedule: step s of n takes ``(1 - s / n) ** power`` of those learning rates.
        compute: where and how the network computes.
        history: TSV to write: step (number of steps done), epoch, learning_rate (of the first group),
            images_per_second, and the scalars of ``loss_function`` (means since the last row).
        resume: where an interrupted training left its state; it stays there until `ResumePoint.discard`.
        label: what the progress bar calls the training.

    Raises:
        TrainingError: the loss or the network is no longer finite.
    """
    first_rates = [group["lr"] for group in optimizer.param_groups]
    rows = _restore(model, optimizer, resume)
    start = int(rows[-1]["step"]) if rows else 0
    batches = training_batches(read, plan, start, compute.workers)
    means = _Means()
    with HistoryWriter(history) as writer:
        for row in rows:
            writer.append(row)
        model.train()
        for step, batch in enumerate(progress(batches, plan.steps - start, "steps", label), start):
            _set_rates(optimizer, first_rates, (1 - step / plan.steps) ** power)
            torch.manual_seed(_noise_seed(plan.seed, step))
            means.add(_step(batch, loss_function, optimizer, compute))
            if (step + 1) % STEPS_PER_ROW and not plan.epoch_ends(step):
                continue
            rows.append(_row(step + 1, plan, optimizer, means))
            _refuse_divergence(model, rows)
            writer.append(rows[-1])
            resume.save_if_due(lambda: _state(model, optimizer, rows))
            means = _Means()


class _Means:
    """Sums of the losses since the last row, kept on the device, and the time since then."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self.start = time.monotonic()

    def add(self, losses: Losses) -> None:
        """Add the losses of one step."""
        self.sums = {name: self.sums.get(name, 0) + value for name, value in losses.items()}
        self.steps += 1

    def losses(self) -> dict[str, float]:
        """Return the means."""
        return {name: value.item() / self.steps for name, value in self.sums.items()}

    def steps_per_second(self) -> float:
        """Return the rate."""
        return self.steps / max(time.monotonic() - self.start, 1e-9)


def _step(
    batch: Sample, loss_function: LossFunction, optimizer: torch.optim.Optimizer, compute: Compute
) -> Losses:
    with compute.autocast():
        losses = loss_function(*map(compute.put, batch))
    optimizer.zero_grad()
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name: value.detach() for name, value in losses.items()}


def _set_rates(optimizer: torch.optim.Optimizer, first_rates: list[float], share: float) -> None:
    for group, rate in zip(optimizer.param_groups, first_rates, strict=True):
        group["lr"] = rate * share


def _noise_seed(seed: int, step: int) -> int:
    """Seed dropout anew in each step, so that no generator's state has to be saved."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def _row(done: int, plan: Plan, optimizer: torch.optim.Optimizer, means: _Means) -> dict[str, float]:
    losses = means.losses()
    return {
        "step": done,
        "epoch": done * plan.batch_size / plan.samples,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "images_per_second": means.steps_per_second() * plan.batch_size,
        **losses,
    }


def _refuse_divergence(model: nn.Module, rows: list[dict[str, float]]) -> None:
    row = rows[-1]
    values = [value for value in model.state_dict().values() if value.is_floating_point()]
    finite = torch.stack([value.isfinite().all() for value in values]).all()
    if np.isfinite(row["loss"]) and finite:
        return
    first = int(rows[-2]["step"]) + 1 if len(rows) > 1 else 1
    what = (
        "the network's weights are no longer finite"
        if np.isfinite(row["loss"])
        else f"the loss is {row['loss']}"
    )
    raise TrainingError(
        f"{what} after steps {first}–{row['step']:.0f}, at a learning rate of {row['learning_rate']:g}: "
        "the training diverged and writes no checkpoint. Lower learning_rate, new_layer_factor or momentum."
    )


def _state(
    model: nn.Module, optimizer: torch.optim.Optimizer, rows: list[dict[str, float]]
) -> dict[str, Any]:
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rows": rows}


def _restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, resume: ResumePoint
) -> list[dict[str, float]]:
    """Put model and optimizer where an interrupted training left them; return the history up to there."""
    state = resume.load()
    if state is None:
        return []
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    rows: list[dict[str, float]] = state["rows"]
    return rows
