"""The random walk against a dense float64 walk, its invariants and its error bound."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsss.method.affinity import half_plane_offsets, valid_pairs
from wsss.method.random_walk import numba_engine, propagate, torch_engine
from wsss.method.random_walk.chebyshev import change_weights, power_coefficients

GRIDS = [(7, 9), (13, 11), (1, 17), (19, 1), (1, 1), (2, 3), (3, 24)]
EXACT = 1e-12
"""Tolerance at which a float64 walk is exact but for rounding."""


def transition_matrix(stencil: Tensor, beta: float, radius: int = 5) -> tuple[Tensor, Tensor]:
    """Dense T (n, n) and D (n,), pair by pair from the definition."""
    _, height, width = stencil.shape
    affinity = torch.eye(height * width, dtype=torch.float64)
    for p, (dy, dx) in enumerate(half_plane_offsets(radius).tolist()):
        for y in range(height - dy):
            for x in range(max(0, -dx), width - max(0, dx)):
                upper, lower = y * width + x, (y + dy) * width + x + dx
                affinity[upper, lower] = affinity[lower, upper] = stencil[p, y, x].double() ** beta
    degrees = affinity.sum(1)
    return affinity / degrees[:, None], degrees


def dense_walk(stencil: Tensor, scores: Tensor, beta: float, t: int, radius: int = 5) -> Tensor:
    transition, _ = transition_matrix(stencil, beta, radius)
    return (torch.linalg.matrix_power(transition, t) @ scores.double().flatten(1).T).T.view(scores.shape)


def random_grid(
    height: int, width: int, *, columns: int = 3, pairs: int = 34, seed: int = 0
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    stencil = torch.rand(pairs, height, width, generator=generator, dtype=torch.float64)
    return stencil, torch.rand(columns, height, width, generator=generator, dtype=torch.float64)


def assert_near(actual: Tensor, expected: Tensor, error: float) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=0, atol=error)


@pytest.mark.parametrize(("height", "width"), GRIDS)
@pytest.mark.parametrize("beta", [0.5, 1, 8])
def test_walk_is_the_dense_walk(height: int, width: int, beta: float) -> None:
    stencil, scores = random_grid(height, width)
    steps = [0, 1, 2, 3, 7, 64, 255, 1000]
    walked = propagate(stencil, scores, beta=beta, t=steps, tolerance=EXACT)
    for result, t in zip(walked, steps, strict=True):
        assert_near(result, dense_walk(stencil, scores, beta, t), 1e-11)


@pytest.mark.parametrize(("radius", "pairs"), [(2, 4), (3, 12), (7, 72)])
def test_other_radii(radius: int, pairs: int) -> None:
    stencil, scores = random_grid(6, 8, pairs=pairs)
    walked = propagate(stencil, scores, beta=2, t=20, tolerance=EXACT)
    assert_near(walked, dense_walk(stencil, scores, 2, 20, radius), 1e-11)


def test_float32_stays_within_the_tolerance() -> None:
    stencil, scores = random_grid(17, 23)
    walked = propagate(stencil.float(), scores.float(), beta=8, t=256)
    assert walked.dtype == torch.float32
    assert_near(walked, dense_walk(stencil, scores, 8, 256), 1e-4)


def test_half_precision_is_powered_in_float32() -> None:
    stencil, scores = random_grid(9, 8)
    stencil, scores = (0.05 + 0.2 * stencil).half(), scores.half()
    assert (stencil.amin() ** 8).item() == 0  # in float16 the power would vanish
    walked = propagate(stencil, scores, beta=8, t=1000)
    assert walked.dtype == torch.float32
    assert_near(walked, dense_walk(stencil, scores, 8, 1000), 1e-4)
    assert (walked - scores).abs().max() > 0.01


def test_t_zero_and_one() -> None:
    stencil, scores = random_grid(8, 5)
    transition, _ = transition_matrix(stencil, 3)
    assert torch.equal(propagate(stencil, scores, beta=3, t=0), scores)
    assert_near(
        propagate(stencil, scores, beta=3, t=1), (transition @ scores.flatten(1).T).T.view(3, 8, 5), 1e-14
    )


def test_all_zero_scores_stay_zero() -> None:
    stencil, _ = random_grid(7, 9)
    assert not propagate(stencil.float(), torch.zeros(2, 7, 9), beta=8, t=[0, 1, 256]).any()


@pytest.mark.parametrize("level", [0.1, 1.0, -3.7])
def test_constants_stay_as_they_are(level: float) -> None:
    stencil, _ = random_grid(7, 9)
    constant = torch.full((1, 7, 9), level)
    assert torch.equal(propagate(stencil.float(), constant, beta=2, t=10_000), constant)


def test_cells_without_neighbours_stay_put() -> None:
    stencil, scores = random_grid(9, 9)
    alone = 30
    for p, (dy, dx) in enumerate(half_plane_offsets(5).tolist()):
        stencil[p].view(-1)[alone] = 0
        y, x = alone // 9 - dy, alone % 9 - dx
        if y >= 0 and 0 <= x < 9:
            stencil[p, y, x] = 0
    walked = propagate(stencil, scores, beta=1, t=500, tolerance=0.1)
    assert torch.equal(walked.flatten(1)[:, alone], scores.flatten(1)[:, alone])
    assert (walked - scores).abs().mean() > 0.1


def test_large_beta_keeps_only_certain_pairs() -> None:
    stencil, scores = random_grid(6, 7)
    stencil = stencil * 0.99
    assert torch.equal(propagate(stencil, scores, beta=1e5, t=256), scores)
    stencil[0, 2, 3] = 1.0
    expected = scores.clone()
    expected[:, 2, 3:5] = scores[:, 2, 3:5].mean(1, keepdim=True)
    assert_near(propagate(stencil, scores, beta=1e5, t=256), expected, 1e-4)


@pytest.mark.parametrize("tolerance", [1e-6, 0.3])
def test_results_stay_within_each_columns_range(tolerance: float) -> None:
    stencil, scores = random_grid(11, 6)
    scores = scores * torch.tensor([1.0, 0.01, 50.0], dtype=torch.float64).view(3, 1, 1)
    walked = propagate(stencil, scores, beta=4, t=[3, 100], tolerance=tolerance)
    assert (walked.amin((-2, -1)) >= scores.amin((-2, -1))).all()
    assert (walked.amax((-2, -1)) <= scores.amax((-2, -1))).all()


def test_mass_is_kept() -> None:
    """D is T's stationary distribution: the D-weighted sum of the scores never changes."""
    stencil, scores = random_grid(10, 7)
    _, degrees = transition_matrix(stencil, 2)
    walked = propagate(stencil, scores, beta=2, t=[1, 30, 999], tolerance=EXACT)
    expected = (scores.flatten(1) @ degrees).expand(3, 3)
    assert_near(walked.flatten(2) @ degrees, expected, 1e-8)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (5, 32), (100, 157)])
def test_walks_add_up(a: int, b: int) -> None:
    stencil, scores = random_grid(9, 10)
    once = propagate(stencil, scores, beta=6, t=a + b, tolerance=EXACT)
    halfway = propagate(stencil, scores, beta=6, t=b, tolerance=EXACT)
    assert_near(propagate(stencil, halfway, beta=6, t=a, tolerance=EXACT), once, 1e-11)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    t=st.integers(0, 600),
    exponent=st.floats(-8, -0.3),
    kind=st.sampled_from(["uniform", "binary", "sparse"]),
    seed=st.integers(0, 2**31),
)
def test_no_cell_exceeds_the_tolerance(
    height: int, width: int, t: int, exponent: float, kind: str, seed: int
) -> None:
    stencil, scores = random_grid(height, width, seed=seed)
    if kind == "binary":
        stencil, scores = stencil.round(), scores.round()
    elif kind == "sparse":
        stencil = (stencil > 0.97).double()
    error = (propagate(stencil, scores, beta=1.5, t=t, tolerance=10**exponent)) - dense_walk(
        stencil, scores, 1.5, t
    )
    assert error.abs().max() <= 10**exponent + 1e-12


@pytest.mark.parametrize("t", [0, 1, 2, 5, 12, 31])
def test_coefficients_are_those_of_the_power(t: int) -> None:
    expected = np.polynomial.chebyshev.poly2cheb([0.0] * t + [1.0])
    np.testing.assert_allclose(power_coefficients(t).numpy(), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("t", [256, 4001, 1_000_000])
def test_coefficients_of_long_walks(t: int) -> None:
    coefficients = power_coefficients(t).numpy()
    assert coefficients.min() >= 0
    assert len(coefficients) <= 13 * t**0.5
    x = np.array([-1, -0.99999, -0.9, 0.0, 0.5, 0.999, 1])
    np.testing.assert_allclose(np.polynomial.chebyshev.chebval(x, coefficients), x**t, atol=1e-12)


def test_series_is_as_short_as_the_bound_allows() -> None:
    volume, tolerance = 47 * 63 * 69.0, 1e-4
    allowed = tolerance / volume**0.5
    weights = change_weights([256, 3, 0], volume, tolerance)
    kept = weights.shape[1]
    assert kept < 100
    chances = [power_coefficients(256)[k:].sum() for k in range(1, kept + 2)]
    assert chances[-1] <= allowed < chances[-2]
    assert_near(weights[0], torch.stack(chances[:-1]), 1e-15)
    assert_near(weights[1, :3], torch.tensor([1.0, 0.25, 0.25]), 1e-15)
    assert not weights[1, 3:].any()
    assert not weights[2].any()


def test_batch_equals_singles() -> None:
    grids = [random_grid(8, 6, seed=seed) for seed in range(3)]
    stencils, scores = (torch.stack(parts).float() for parts in zip(*grids, strict=True))
    batch = propagate(stencils, scores, beta=8, t=[4, 256])
    assert batch.shape == (2, 3, 3, 8, 6)
    for index in range(3):
        assert torch.equal(batch[:, index], propagate(stencils[index], scores[index], beta=8, t=[4, 256]))


def test_several_t_equal_singles() -> None:
    stencil, scores = random_grid(8, 6)
    steps = [256, 1, 0, 77, 77]
    together = propagate(stencil, scores, beta=8, t=steps)
    for result, t in zip(together, steps, strict=True):
        assert torch.equal(result, propagate(stencil, scores, beta=8, t=t))


def test_columns_do_not_mix() -> None:
    stencil, scores = random_grid(8, 6, columns=5)
    order = [3, 0, 4, 1, 2]
    walked = propagate(stencil, scores, beta=8, t=64)
    assert torch.equal(propagate(stencil, scores[order], beta=8, t=64), walked[order])
    assert propagate(stencil, scores[:0], beta=8, t=64).shape == (0, 8, 6)


def test_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    stencil, scores = random_grid(12, 9, columns=5)
    walks = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        walks.append(propagate(stencil, scores, beta=8, t=64))
    assert torch.equal(*walks)


@pytest.mark.parametrize(
    ("t", "shape"), [(3, (3, 4, 5)), (3.0, (3, 4, 5)), ((3,), (1, 3, 4, 5)), (range(2), (2, 3, 4, 5))]
)
def test_leading_axis_only_for_several_t(t: object, shape: tuple[int, ...]) -> None:
    stencil, scores = random_grid(4, 5)
    assert propagate(stencil, scores, beta=8, t=t).shape == shape


def test_arguments_are_left_alone() -> None:
    stencil, scores = random_grid(6, 6)
    stencil, scores = stencil.requires_grad_(), scores.transpose(1, 2)
    before = stencil.clone(), scores.clone()
    walked = propagate(stencil, scores, beta=8, t=64)
    assert torch.equal(stencil, before[0])
    assert torch.equal(scores, before[1])
    assert not walked.requires_grad


def engine_case(*steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Affinities, offsets, scores and weights of two images, as an engine gets them."""
    images = [random_grid(7, 20, columns=2, seed=seed) for seed in range(2)]
    stencils, scores = (torch.stack(parts).float() for parts in zip(*images, strict=True))
    weights = change_weights(steps, volume=1e3, tolerance=1e-4).float()
    return stencils * valid_pairs(7, 20), half_plane_offsets(5), scores, weights


def test_torch_engine_equals_numba_engine() -> None:
    case = engine_case(0, 9, 40)
    assert_near(torch_engine.walk(*case), numba_engine.walk(*case), 1e-5)


def test_triton_engine_in_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.delitem(sys.modules, "wsss.method.random_walk.triton_engine", raising=False)
    from wsss.method.random_walk import triton_engine

    monkeypatch.delitem(sys.modules, "wsss.method.random_walk.triton_engine")
    case = engine_case(0, 2, 3)
    assert_near(triton_engine.walk(*case), torch_engine.walk(*case), 1e-5)


def test_entries_outside_the_grid_are_ignored() -> None:
    stencil, scores = random_grid(6, 5)
    inside = propagate(stencil * valid_pairs(6, 5), scores, beta=2, t=50)
    assert torch.equal(propagate(stencil, scores, beta=2, t=50), inside)


@pytest.mark.parametrize("t", [256, 100_000])
@pytest.mark.parametrize("weakest", [0.05, 0.98])
def test_float32_rounding_stays_small(t: int, weakest: float) -> None:
    """The recursion in differences: T close to one, or a long walk, must not cost digits."""
    stencil, scores = random_grid(9, 12)
    stencil, scores = (weakest + 0.02 * stencil).float(), scores.float()
    exact = propagate(stencil, scores.double(), beta=8, t=t, tolerance=1e-9)
    assert_near(propagate(stencil, scores, beta=8, t=t, tolerance=1e-6), exact, 5e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_equals_cpu(dtype: torch.dtype) -> None:
    stencil, scores = (part.to(dtype) for part in random_grid(47, 63))
    there = propagate(stencil.cuda(), scores.cuda(), beta=8, t=[16, 256])
    assert_near(there.cpu(), propagate(stencil, scores, beta=8, t=[16, 256]), 1e-5)


@pytest.mark.parametrize(
    ("stencil", "scores", "message"),
    [
        (torch.zeros(34, 5), torch.zeros(2, 5, 5), r"\(34, 5\) and scores \(2, 5, 5\)"),
        (torch.zeros(1, 34, 5, 5), torch.zeros(2, 5, 5), r"\(1, 34, 5, 5\) and scores \(2, 5, 5\)"),
        (torch.zeros(34, 5, 6), torch.zeros(2, 5, 5), r"grids .*\(34, 5, 6\) and scores \(2, 5, 5\)"),
        (torch.zeros(3, 34, 5, 5), torch.zeros(2, 1, 5, 5), r"batches .*\(3, 34, 5, 5\)"),
        (torch.zeros(33, 5, 5), torch.zeros(2, 5, 5), r"33 offsets .*\(33, 5, 5\)"),
        (torch.zeros(34, 0, 5), torch.zeros(2, 0, 5), r"no cells.*\(34, 0, 5\)"),
        (torch.zeros(34, 5, 5), torch.zeros(2, 5, 5).long(), "scores torch.int64"),
        (torch.full((34, 5, 5), 1.5), torch.zeros(2, 5, 5), r"\[0, 1\], got 1.5 to 1.5"),
        (torch.full((34, 5, 5), -0.5), torch.zeros(2, 5, 5), r"\[0, 1\], got -0.5"),
        (torch.full((34, 5, 5), torch.nan), torch.zeros(2, 5, 5), r"\[0, 1\], got nan"),
        (torch.zeros(34, 5, 5), torch.full((2, 5, 5), torch.inf), r"not all finite: .*\(2, 5, 5\)"),
    ],
)
def test_bad_tensors_are_refused(stencil: Tensor, scores: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        propagate(stencil, scores, beta=8, t=256)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("beta", 0), ("beta", -1.0), ("beta", float("nan")), ("beta", float("inf")),
        ("t", -1), ("t", 2.5), ("t", [4, 0.5]), ("t", []), ("t", "16"), ("t", None),
        ("t", float("inf")), ("t", float("nan")),
        ("tolerance", 0), ("tolerance", 1), ("tolerance", float("nan")),
    ],
)  # fmt: skip
def test_bad_numbers_are_refused(key: str, value: object) -> None:
    stencil, scores = random_grid(3, 3)
    with pytest.raises(ValueError, match=key):
        propagate(stencil, scores, **({"beta": 8, "t": 256} | {key: value}))
