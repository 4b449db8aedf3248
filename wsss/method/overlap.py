"""Intersection over union, the one formula of all scores: of PyTorch's tensors and of NumPy's arrays."""

from __future__ import annotations

from typing import Protocol, Self, TypeVar


class Counts(Protocol):
    """Numbers that are added, subtracted and divided one by one."""

    def __add__(self, other: Self, /) -> Self:
        """Add."""

    def __sub__(self, other: Self, /) -> Self:
        """Subtract."""

    def __truediv__(self, other: Self, /) -> Self:
        """Divide."""


CountsT = TypeVar("CountsT", bound=Counts)


def overlap(hits: CountsT, true: CountsT, predicted: CountsT) -> CountsT:
    """Divide the pixels in both by the pixels in either; nan where there are none.

    Args:
        hits: pixels that are of a class in truth and prediction, floating.
        true: pixels of the class in the truth.
        predicted: pixels of the class in the prediction.
    """
    return hits / (true + predicted - hits)
