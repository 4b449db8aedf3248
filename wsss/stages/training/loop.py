"""The loop that trains all networks: learning rates, a history, a state to resume from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wsss.results import HistoryWriter
from wsss.runtime.compute import Compute
from wsss.runtime.console import progress
from wsss.runtime.processes import process_count, total
from wsss.stages.training.batch_norm import share_batch_norms
from wsss.stages.training.resume import ResumePoint
from wsss.stages.training.sampling import Plan, ReadSample, Sample, training_batches
from wsss.stages.training.schedules import rate_factor
from wsss.stages.training.selection import Selection
from wsss.study.config import Schedule

STEPS_PER_ROW = 10
"""Steps from one row of the history to the next: reading the loss in every step would make a GPU wait."""

COLUMNS = ("step", "epoch", "learning_rate", "images_per_second", "loss")
"""Columns of every history; a module of losses may add its terms."""

Losses = Mapping[str, Tensor]
"""Scalars: "loss", which is minimised, and others for the history."""


class TrainingError(ValueError):
    """A training that cannot go on; it writes no checkpoint."""


def fit(
    module: nn.Module,
    read: ReadSample,
    *,
    plan: Plan,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    compute: Compute,
    history: Path,
    resume: ResumePoint,
    label: str,
    selection: Selection | None = None,
) -> None:
    """Train a network in place.

    Order, augmentation and dropout are functions of the plan's seed, the step and the process, so a resumed
    training ends with the weights of one that was never interrupted, on a CPU bit for bit. Processes that
    train together share each batch, average their gradients and so keep equal weights; the first one writes.

    Args:
        module: maps the fields of a batch to `Losses`, under ``compute``'s autocast, and holds the network.
            The mean over processes of a loss must be that of their batches together.
        read: makes the sample of an index.
        plan: how many steps, and which images in each.
        optimizer: with the learning rates before the schedule.
        schedule: see `rate_factor`.
        compute: where and how the network computes.
        history: TSV to write: step (number of steps done), epoch, learning_rate (of the first group),
            images_per_second, and the losses (means since the last row).
        resume: where an interrupted training left its state; it stays there until `ResumePoint.discard`.
        label: what the progress bar calls the training; in lower case, its section of the configuration.
        selection: which state the network ends with in the leading process; by default the last.

    Raises:
        TrainingError: the loss or the network is no longer finite.
    """
    first_rates = [group["lr"] for group in optimizer.param_groups]
    rows = _restore(module, optimizer, resume, selection)
    start = int(rows[-1]["step"]) if rows else 0
    batches = training_batches(read, plan, start, compute)
    means = _Means()
    with _History(history, rows, compute) as written:
        trained = together(module, compute)
        trained.train()
        shown = (
            progress(batches, plan.steps - start, "steps", label, note=lambda: _loss(rows))
            if compute.leads
            else batches
        )
        for step, batch in enumerate(shown, start):
            _set_rates(optimizer, first_rates, rate_factor(schedule, step, plan.steps))
            torch.manual_seed(plan.noise_seed(step, compute.rank))
            means.add(_step(batch, trained, optimizer, compute))
            if selection and compute.leads and selection.due(step + 1, plan.steps):
                selection.offer(module, step + 1)
                trained.train()
            if (step + 1) % STEPS_PER_ROW and not plan.epoch_ends(step):
                continue
            rows.append(_row(step + 1, plan, optimizer, means))
            _refuse_divergence(module, rows, label.lower())
            written.append(rows[-1])
            if compute.leads:
                resume.save_if_due(lambda: _state(module, optimizer, rows, selection))
            means = _Means()
    if selection and compute.leads:
        selection.put_back(module)


def together(module: nn.Module, compute: Compute) -> nn.Module:
    """Let the processes that train together average their gradients; return ``module`` itself if it is one.

    The batch norms that learn take their statistics over the whole batch.
    """
    if compute.processes == 1:
        return module
    share_batch_norms(module, compute.device)
    # Static: parameters that no loss depends on are told apart once, not in each step.
    return DistributedDataParallel(module, static_graph=True)


class _History:
    """The file of the history, which the leading process writes."""

    def __init__(self, path: Path, rows: list[dict[str, float]], compute: Compute) -> None:
        self._writer = HistoryWriter(path) if compute.leads else None
        for row in rows:
            self.append(row)

    def append(self, row: dict[str, float]) -> None:
        """Write a row."""
        if self._writer is not None:
            self._writer.append(row)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()


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
        """Return the means over steps and processes."""
        sums = {name: total(value) for name, value in self.sums.items()}
        return {name: value.item() / (self.steps * process_count()) for name, value in sums.items()}

    def steps_per_second(self) -> float:
        """Return the rate."""
        return self.steps / max(time.monotonic() - self.start, 1e-9)


def _step(
    batch: Sample, module: nn.Module, optimizer: torch.optim.Optimizer, compute: Compute
) -> dict[str, Tensor]:
    with compute.autocast():
        losses: Losses = module(*map(compute.put, batch))
    optimizer.zero_grad()
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name: value.detach() for name, value in losses.items()}


def _set_rates(optimizer: torch.optim.Optimizer, first_rates: list[float], factor: float) -> None:
    for group, rate in zip(optimizer.param_groups, first_rates, strict=True):
        group["lr"] = rate * factor


def _row(done: int, plan: Plan, optimizer: torch.optim.Optimizer, means: _Means) -> dict[str, float]:
    losses = means.losses()
    return {
        "step": done,
        "epoch": done * plan.batch_size / plan.samples,
        "learning_rate": optimizer.param_groups[0]["lr"],
        "images_per_second": means.steps_per_second() * plan.batch_size,
        **losses,
    }


def _loss(rows: list[dict[str, float]]) -> str:
    """The loss for the progress, from the last row of the history."""
    return f"loss {rows[-1]['loss']:.4g}" if rows else ""


def _refuse_divergence(module: nn.Module, rows: list[dict[str, float]], section: str) -> None:
    row = rows[-1]
    values = [value for value in module.state_dict().values() if value.is_floating_point()]
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
        f"{what} after steps {first}–{row['step']:.0f}, at a learning rate of {row['learning_rate']:g}: the "
        f"training diverged and writes no checkpoint. Lower {section}.optimizer.learning_rate or "
        f"{section}.optimizer.head_lr_multiplier, or raise {section}.schedule.warmup."
    )


def _state(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: list[dict[str, float]],
    selection: Selection | None,
) -> dict[str, Any]:
    selected = {"selection": selection.state()} if selection else {}
    return {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "rows": rows, **selected}


def _restore(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    resume: ResumePoint,
    selection: Selection | None,
) -> list[dict[str, float]]:
    """Put network and optimizer where an interrupted training left them; return the history up to there."""
    state = resume.load()
    if state is None:
        return []
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    if selection:
        selection.restore(state["selection"])
    rows: list[dict[str, float]] = state["rows"]
    return rows
