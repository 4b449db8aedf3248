"""Whether a training learned anything, by its history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wsss.stages.health.alarms import Alarm, Verdict, percent

STILL = 0.95
"""The loss at the end, as a share of the loss at the start. The first row is a mean over ten steps already,
so that noise is a few per cent; the trainings of the default study end below 0.6."""

LAST = 0.2
"""The end: so much of the rows."""

STEPS = 100
"""The shortest training of the studies has 250 steps; a head on frozen features needs about a hundred."""

LOSS = Alarm(
    name="NETWORK-loss",
    stage="NETWORK",
    title="NETWORK: the loss never fell",
    fires=f"alarm: the last fifth of the training has {percent(STILL)} of the first loss or more",
    meaning="The network has learned nothing from its labels, unless it started from weights that knew them.",
    help=(
        "Change `NETWORK.optimizer.learning_rate` by a factor of ten, up if the loss stood still, down if "
        "it rose.",
        "Look at the curve: `RESULTS/report/NETWORK.png`, which `snakemake plot_history` draws.",
    ),
)

SHORT = Alarm(
    name="NETWORK-steps",
    stage="NETWORK",
    title="NETWORK: a short training",
    fires=f"warning: fewer than {STEPS} steps",
    meaning="An epoch is one pass over the images: the epochs that suit thousands of images are a few steps"
    " on hundreds, and the network stays near its first weights.",
    help=("Raise `NETWORK.epochs`, or lower `NETWORK.batch_size`.",),
)


def check_training(network: str, history: Mapping[str, NDArray[np.float64]]) -> list[Verdict]:
    """Check the columns (rows,) of a history; that of a network that was not trained here has no rows."""
    loss = history["loss"]
    if not len(loss):
        return []
    steps = int(history["step"][-1])
    found = [SHORT.of(network).judge(f"{steps} steps", warning=steps < STEPS)]
    if len(loss) > 1:
        first, last = float(loss[0]), float(loss[-max(1, int(LAST * len(loss))) :].mean())
        stood_still = last >= STILL * first
        found.insert(
            0, LOSS.of(network).judge(f"loss {first:.3g} at first, {last:.3g} at the end", alarm=stood_still)
        )
    return found
