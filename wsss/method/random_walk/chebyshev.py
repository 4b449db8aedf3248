"""Powers as Chebyshev series: x^t = Σ c_k T_k(x) on [-1, 1], cut where a proven bound allows.

The coefficients are a probability distribution: c_k is the chance that t fair steps of ±1 end k away from
their start. Only those up to about √(2t · ln(2 / error)) count, so a walk of 256 steps takes some 85
products.

With s_k = c_k + c_(k+1) + …, the chance to end k or more away, the same series is a sum of changes,
x^t = 1 + Σ s_k (T_k(x) - T_(k-1)(x)). Cut in this form it still gives exactly 1 at x = 1: cells without
neighbours and constant scores stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

NEGLIGIBLE = 1e-30
"""Sum of the coefficients that are never computed (Hoeffding's inequality)."""


def change_weights(steps: Sequence[int], volume: float, tolerance: float) -> Tensor:
    """Weights s_1, s_2, … of the changes for each t of `steps`, each series cut where the tolerance allows.

    A series cut before s_k errs by at most 2 s_k on [-1, 1], hence by 2 s_k ‖x‖ in the D-weighted norm.
    Scores of range 1 around their middle have at most the norm √volume / 2; no cell's error exceeds the
    norm of all.

    Args:
        steps: the values of t.
        volume: sum of D, the row sums of the affinities (each at least 1), or more.
        tolerance: allowed error of a cell as a share of the scores' range.

    Returns:
        (len(steps), K) float64; shorter series are padded with zeros. K is the number of products.

    """
    allowed = tolerance / math.sqrt(volume)
    tails = (power_coefficients(t).flip(0).cumsum(0).flip(0)[1:] for t in steps)
    return pad_sequence([tail[tail > allowed] for tail in tails], batch_first=True)


def power_coefficients(t: int) -> Tensor:
    """Chebyshev coefficients of x^t, (K,) float64: 2^(1-t) · binomial(t, (t-k)/2), half of that for k = 0.

    Built from the lowest order up by their ratios: nothing overflows, and small ones keep their digits.
    """
    last = min(t, math.ceil(math.sqrt(2 * t * math.log(2 / NEGLIGIBLE))))
    orders = torch.arange(t % 2, last + 1, 2)
    ratios = (t - orders).double() / (t + orders + 2)
    weights = torch.cat([ratios.new_ones(1), ratios[:-1].cumprod(0)])
    weights[orders > 0] *= 2
    coefficients = weights.new_zeros(last + 1)
    coefficients[orders] = weights / weights.sum()
    return coefficients
