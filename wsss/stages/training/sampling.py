"""Which images a training step sees, and with which randomness: pure functions of seed, epoch and index.

Nothing here has a state that would have to be saved, so a resumed training continues with exactly the samples
that an uninterrupted one would have seen, however many threads load them and however many processes share
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data.loading import prefetch
from wsss.runtime.compute import Compute

ROUNDING = 1e-9
"""What a number of steps may have too much when epochs are a fraction."""

Sample = tuple[Tensor, ...]
ReadSample = Callable[[int, np.random.Generator], Sample]
"""Makes a training sample of the image of an index; all samples of a training have the same shapes."""


class Draw(NamedTuple):
    """One use of the image number ``image``."""

    epoch: int
    image: int


@dataclass(frozen=True)
class Plan:
    """The course of a training: an endless stream of shuffled epochs, cut into batches of equal size.

    A batch may reach from one epoch into the next, so no image is left out and no batch is short.

    Attributes:
        samples: number of images.
        batch_size: images per step, of all processes together.
        epochs: passes over the images, perhaps a fraction.
        seed: decides the order, each sample's randomness and dropout.
    """

    samples: int
    batch_size: int
    epochs: float
    seed: int

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("a training needs at least one image, got none")

    @property
    def steps(self) -> int:
        """Number of optimizer steps, at least one."""
        return max(1, math.ceil(self.epochs * self.samples / self.batch_size - ROUNDING))

    def epoch_ends(self, step: int) -> bool:
        """Tell whether step ``step`` (from 0) completes an epoch or the training."""
        before, after = (s * self.batch_size // self.samples for s in (step, step + 1))
        return after > before or step + 1 == self.steps

    def batch(self, step: int, rank: int = 0, processes: int = 1) -> list[Draw]:
        """List what the process ``rank`` of ``processes`` sees in step ``step`` (from 0).

        All processes together see the same, whatever their number.

        Raises:
            ValueError: the processes cannot share the batch equally.
        """
        require_equal_shares(self.batch_size, processes)
        first = step * self.batch_size
        return [self._draw(position) for position in range(first + rank, first + self.batch_size, processes)]

    def noise_seed(self, step: int, rank: int = 0) -> int:
        """Return the seed of dropout in a step: no generator's state has to be saved."""
        key = (self.seed, step, rank) if rank else (self.seed, step)
        return int(np.random.SeedSequence(key).generate_state(1)[0])

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, self.samples)
        return Draw(epoch, int(epoch_order(self.samples, self.seed, epoch)[place]))


def require_equal_shares(batch_size: int, processes: int) -> None:
    """Refuse a batch that several processes cannot share equally.

    Raises:
        ValueError: ``batch_size`` is not a multiple of ``processes``.
    """
    if batch_size % processes:
        raise ValueError(
            f"batch_size: got {batch_size}, expected a multiple of {processes}, the number of GPUs "
            "(resources: gpu) that share each batch"
        )


@lru_cache(maxsize=4)
def epoch_order(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Shuffle ``0 … samples - 1`` for one epoch."""
    return np.random.default_rng((seed, epoch)).permutation(samples)


def training_batches(read: ReadSample, plan: Plan, start: int, compute: Compute) -> Iterator[Sample]:
    """Yield this process's batches of the steps from ``start`` on: the fields of its samples, stacked."""

    def load(step: int) -> Sample:
        samples = [
            read(draw.image, np.random.default_rng((plan.seed, draw.epoch, draw.image)))
            for draw in plan.batch(step, compute.rank, compute.processes)
        ]
        return tuple(compute.pin(torch.stack(field)) for field in zip(*samples, strict=True))

    return prefetch(load, range(start, plan.steps), compute.workers)
