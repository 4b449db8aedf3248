"""Which state of a network a training keeps: the last, or the best of several by a label-free score."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Item = TypeVar("Item")

logger = logging.getLogger(__name__)


def held_out(items: Sequence[Item], share: float) -> tuple[list[Item], list[Item]]:
    """Part items into those to learn from and those to compare networks with, evenly spread.

    Args:
        items: at least two.
        share: of the second part, which has at least one item and leaves one.

    Raises:
        ValueError: there are fewer than two items.
    """
    if len(items) < 2:
        raise ValueError(f"to hold images out takes at least 2 of them, got {len(items)}")
    number = min(max(1, round(share * len(items))), len(items) - 1)
    chosen = {(2 * i + 1) * len(items) // (2 * number) for i in range(number)}
    learned = [item for i, item in enumerate(items) if i not in chosen]
    return learned, [items[i] for i in sorted(chosen)]


@dataclass
class Selection:
    """Compares the states of a network in the second half of its training, and keeps the best.

    Attributes:
        of: how many states, in equal distances, the last one included.
        score: of the network as it is, larger is better; it leaves the network in whichever mode it likes.
        what: the score's name, for the log.
        best: the weights and buffers of the best state so far, on the CPU.
        best_score: its score.
    """

    of: int
    score: Callable[[], float]
    what: str
    best: dict[str, Tensor] | None = None
    best_score: float = -math.inf

    def due(self, done: int, steps: int) -> bool:
        """Tell whether the state after ``done`` of ``steps`` steps is compared."""
        half = steps / 2
        return any(done == math.ceil(half + half * (k + 1) / self.of) for k in range(self.of))

    def offer(self, module: nn.Module, done: int) -> None:
        """Score the present state, and keep it if none was better; of equal ones the later is kept."""
        score = self.score()
        kept = score >= self.best_score or self.best is None
        logger.info(
            "step %d: %s %.2f %%%s", done, self.what, 100 * score, ", the best so far" if kept else ""
        )
        if kept:
            self.best_score = score
            self.best = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def put_back(self, module: nn.Module) -> None:
        """Give a module the best state."""
        if self.best is not None:
            module.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """What an interrupted training needs to go on."""
        return {"best": self.best, "best_score": self.best_score}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.best, self.best_score = state["best"], state["best_score"]
