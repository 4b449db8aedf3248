"""How far the first class leads."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wsss.method.margins import MARGIN_OF_ONE, margin_of

SCORES = arrays(
    np.float32,
    st.tuples(st.integers(2, 4), st.just(3), st.just(2)),
    elements=st.floats(0, 1, width=32),
)


@given(SCORES)
def test_the_margin_is_what_the_second_lacks(scores: np.ndarray) -> None:
    margin = margin_of(torch.from_numpy(scores)).numpy()
    assert margin.dtype == np.uint8
    second, first = np.sort(scores.astype(np.float64), axis=0)[-2:]
    lead = 1 - second / np.maximum(first, np.finfo(np.float32).tiny)
    assert np.abs(margin - lead.clip(0, 1) * MARGIN_OF_ONE).max() <= 0.501


@given(SCORES, st.floats(0.25, 4))
def test_it_is_the_same_at_every_scale(scores: np.ndarray, factor: float) -> None:
    scores = scores.clip(2**-20)
    one, other = margin_of(torch.from_numpy(scores)), margin_of(torch.from_numpy(scores * np.float32(factor)))
    assert (one.int() - other.int()).abs().max() <= 1


def test_a_single_score_leads_by_all() -> None:
    assert margin_of(torch.zeros(1, 2, 3)).unique().tolist() == [MARGIN_OF_ONE]
    assert margin_of(torch.tensor([1.0, 0.0]).view(2, 1, 1)).item() == MARGIN_OF_ONE
    assert margin_of(torch.tensor([0.5, 0.5]).view(2, 1, 1)).item() == 0
