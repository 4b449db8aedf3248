"""The dense CRF against the papers' lattice, vertex by vertex, and against the sum over all pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from wsss.method.confident import confident_labels
from wsss.method.dense_crf import DenseCRF, dense_crf
from wsss.method.dense_crf.lattice import embed
from wsss.method.dense_crf.numba_engine import NumbaLattice
from wsss.method.dense_crf.torch_engine import TorchLattice

Floats = NDArray[np.float64]
Filter = Callable[[Floats], Floats]
"""Filter of (C, N) values."""


def random_image(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)


def random_scores(labels: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(labels, height, width, generator=torch.Generator().manual_seed(seed))


def smooth_image(height: int, width: int) -> Tensor:
    """Colours that turn slowly, so that the lattice is filled as by a photograph."""
    y, x = np.mgrid[:height, :width]
    return torch.from_numpy(np.stack([8 * x, 8 * y, 100 + 3 * x + 4 * y], -1).astype(np.uint8))


def two_halves(height: int = 24, width: int = 30, edge: int = 17) -> Tensor:
    image = torch.full((height, width, 3), 60, dtype=torch.uint8)
    image[:, edge:] = 190
    return image


def simplex(feature: Floats) -> dict[tuple[int, ...], float]:
    """Vertices around a point and its weights on them, step by step as Adams, Baek & Davis 2010 find them."""
    d = len(feature)
    scaled = [x * np.sqrt(2 / 3) * (d + 1) / np.sqrt((i + 1) * (i + 2)) for i, x in enumerate(feature)]
    elevated = np.array([sum(scaled[j:]) - (j * scaled[j - 1] if j else 0) for j in range(d + 1)])
    nearest = np.round(elevated / (d + 1)).astype(int) * (d + 1)
    rank = np.argsort(np.argsort(nearest - elevated, kind="stable")) + nearest.sum() // (d + 1)
    nearest += np.where(rank < 0, d + 1, 0) - np.where(rank > d, d + 1, 0)
    rank %= d + 1
    offset = (elevated - nearest)[np.argsort(rank)] / (d + 1)
    weights = [1 + offset[-1] - offset[0], *(offset[d - k] - offset[d + 1 - k] for k in range(1, d + 1))]
    return {
        tuple(nearest + np.where(rank <= d - k, k, k - d - 1)): weight for k, weight in enumerate(weights)
    }


def lattice_filter(features: Floats) -> Filter:
    """Splat, blur and slice, with vertices in a dictionary."""
    d = features.shape[1]
    points = [simplex(feature) for feature in features]

    def apply(values: Floats) -> Floats:
        nodes: dict[tuple[int, ...], Floats] = defaultdict(lambda: np.zeros(len(values)))
        for point, value in zip(points, values.T, strict=True):
            for vertex, weight in point.items():
                nodes[vertex] += weight * value
        for axis in range(d + 1):
            step = np.ones(d + 1, int) - (d + 1) * (np.arange(d + 1) == axis)
            before, nodes = nodes, {}
            for vertex, value in before.items():
                beside = [tuple(vertex + side * step) for side in (-1, 1)]
                nodes[vertex] = value + sum(before[n] / 2 for n in beside if n in before)
        return np.stack([sum(w * nodes[v] for v, w in point.items()) for point in points], 1)

    return apply


def exact_filter(features: Floats) -> Filter:
    """Gaussian of the distance of every two points."""
    distances = ((features[:, None] - features) ** 2).sum(-1)
    kernel = np.exp(-distances / 2)
    return lambda values: values @ kernel


def mean_field(
    image: Tensor,
    scores: Tensor,
    make_filter: Callable[[Floats], Filter],
    iterations: int = 10,
    gaussian: tuple[float, float] = (3, 3),
    bilateral: tuple[float, float, float] = (80, 13, 10),
) -> Floats:
    """Algorithm 1 of Krähenbühl & Koltun 2011 in float64, for the Potts model, which rewards agreement."""
    height, width, _ = image.shape
    xy = np.array([(x, y) for y, x in product(range(height), range(width))], float)
    colours = image.numpy().reshape(-1, 3).astype(float)
    kernels = [
        (make_filter(xy / gaussian[0]), gaussian[1]),
        (make_filter(np.hstack([xy / bilateral[0], colours / bilateral[1]])), bilateral[2]),
    ]
    norms = [apply(np.ones((1, len(xy)))) ** -0.5 for apply, _ in kernels]
    unary = -np.log(np.clip(scores.double().numpy().reshape(len(scores), -1), 1e-5, 1))
    posterior = softmax(-unary)
    for _ in range(iterations):
        messages = [
            weight * norm * apply(norm * posterior)
            for (apply, weight), norm in zip(kernels, norms, strict=True)
        ]
        posterior = softmax(-unary + sum(messages))
    return posterior.reshape(scores.shape)


def softmax(energy: Floats) -> Floats:
    powers = np.exp(energy - energy.max(0))
    return powers / powers.sum(0)


def assert_near(actual: Tensor, expected: Floats | Tensor, error: float) -> None:
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=error)


@pytest.mark.parametrize(
    ("height", "width", "labels"), [(7, 9, 3), (1, 1, 2), (1, 13, 5), (11, 1, 4), (6, 5, 9)]
)
def test_posterior_is_that_of_the_papers_lattice(height: int, width: int, labels: int) -> None:
    for image in (random_image(height, width), smooth_image(height, width)):
        scores = random_scores(labels, height, width)
        assert_near(dense_crf(image, scores), mean_field(image, scores, lattice_filter), 1e-4)


def test_other_parameters() -> None:
    image, scores = smooth_image(8, 7), random_scores(3, 8, 7)
    gaussian, bilateral = (1.5, 0.7), (5.0, 40.0, 2.5)
    posterior = dense_crf(image, scores, iterations=3, gaussian=gaussian, bilateral=bilateral)
    assert_near(posterior, mean_field(image, scores, lattice_filter, 3, gaussian, bilateral), 1e-4)


@pytest.mark.parametrize("deviation", [3.0, 8.0])
def test_filter_is_nearly_the_sum_over_all_pairs(deviation: float) -> None:
    image, scores = smooth_image(20, 24), random_scores(3, 20, 24)
    bilateral = (deviation, 40.0, 1.0)
    posterior = dense_crf(image, scores, iterations=5, gaussian=(3, 1), bilateral=bilateral)
    exact = mean_field(image, scores, exact_filter, 5, (3, 1), bilateral)
    assert np.abs(posterior.numpy() - exact).mean() < 0.02
    assert (posterior.numpy().argmax(0) == exact.argmax(0)).mean() > 0.97


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_simplices_are_those_of_the_paper(dimensions: int) -> None:
    features = 40 * torch.rand(
        50, dimensions, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    keys, weights, steps = embed(features)
    assert steps.sum() == 0
    seen: dict[int, tuple[int, ...]] = {}
    for feature, row, shares in zip(features.numpy(), keys.tolist(), weights.tolist(), strict=True):
        expected = simplex(feature)
        found = sorted(zip(shares, row, strict=True))
        for (share, key), (vertex, weight) in zip(
            found, sorted(expected.items(), key=lambda v: v[1]), strict=True
        ):
            assert share == pytest.approx(weight, abs=1e-5)
            assert seen.setdefault(key, vertex) == vertex
    assert len(set(seen.values())) == len(seen)


def test_engines_agree() -> None:
    image = random_image(31, 43)
    image[:20] = smooth_image(20, 43)
    y, x = torch.meshgrid(torch.arange(31.0), torch.arange(43.0), indexing="ij")
    features = torch.cat([torch.stack([x, y], -1) / 9, image / 30], 2).double().flatten(0, 1)
    values = random_scores(6, 31, 43).flatten(1)
    compiled, reference = (engine(embed(features)) for engine in (NumbaLattice, TorchLattice))
    torch.testing.assert_close(compiled(values), reference(values), rtol=1e-5, atol=1e-5)
    factors = values[0] + 1
    expected = factors * reference(factors * values)
    torch.testing.assert_close(compiled.scaled(factors)(values), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reference.scaled(factors)(values), expected, rtol=1e-5, atol=1e-5)


def test_many_vertices_outgrow_the_first_hash_table() -> None:
    image, scores = random_image(90, 100), random_scores(2, 90, 100)
    lattice = NumbaLattice(embed(image.flatten(0, 1).double()))
    assert lattice.neighbours.shape[1] > 2**14
    reference = TorchLattice(embed(image.flatten(0, 1).double()))
    torch.testing.assert_close(lattice(scores.flatten(1)), reference(scores.flatten(1)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same() -> None:
    image, scores = smooth_image(30, 31), random_scores(5, 30, 31)
    posterior = dense_crf(image, scores.cuda())
    assert posterior.is_cuda
    assert_near(posterior.cpu(), dense_crf(image, scores), 1e-4)


def test_the_cpp_implementation_gives_the_same() -> None:
    cpp = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf2 is not installed")
    image, scores = random_image(37, 53) // 4 + smooth_image(37, 53) // 2, random_scores(21, 37, 53)
    crf = cpp.DenseCRF2D(53, 37, 21)
    crf.setUnaryEnergy(-scores.clamp(1e-5, 1).log().flatten(1).numpy())
    crf.addPairwiseGaussian(sxy=2, compat=4)
    crf.addPairwiseBilateral(sxy=49, srgb=5, rgbim=image.numpy(), compat=6)
    posterior = dense_crf(image, scores, iterations=7, gaussian=(2, 4), bilateral=(49, 5, 6))
    assert_near(posterior, np.array(crf.inference(7)).reshape(scores.shape), 1e-4)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(0, 3),
    st.integers(0, 99),
    st.randoms(),
)
def test_labels_are_exchangeable_and_sum_to_one(height, width, labels, iterations, seed, random) -> None:
    crf = DenseCRF(random_image(height, width, seed), iterations=iterations)
    scores = random_scores(labels, height, width, seed)
    posterior = crf(scores)
    assert posterior.dtype == torch.float32
    assert posterior.min() >= 0
    assert_near(posterior.sum(0), torch.ones(height, width), 1e-5)
    order = random.sample(range(labels), labels)
    assert_near(crf(scores[order]), posterior[order], 1e-4)


def test_one_label_is_certain() -> None:
    assert torch.equal(dense_crf(random_image(5, 7), random_scores(1, 5, 7)), torch.ones(1, 5, 7))


def test_labels_without_preference_stay_so() -> None:
    posterior = dense_crf(random_image(9, 8), torch.full((4, 9, 8), 0.3))
    assert_near(posterior, torch.full((4, 9, 8), 0.25), 1e-6)


def test_a_constant_image_takes_its_majority() -> None:
    scores = torch.tensor([0.7, 0.3])[:, None, None].repeat(1, 20, 23)
    scores[:, 9:11, 10:12] = torch.tensor([0.2, 0.8])[:, None, None]
    posterior = dense_crf(torch.full((20, 23, 3), 130, dtype=torch.uint8), scores)
    assert posterior[0].min() > 0.9


def test_labels_end_where_the_colour_does() -> None:
    ramp = torch.linspace(0.95, 0.05, 30).repeat(24, 1)
    scores = torch.stack([ramp, 1 - ramp])  # they turn at column 15
    labels = dense_crf(two_halves(edge=17), scores).argmax(0)
    assert torch.equal(labels, (torch.arange(30) >= 17).long().repeat(24, 1))


def test_no_iterations_or_no_weights_leave_the_scores() -> None:
    image, scores = random_image(6, 5), random_scores(3, 6, 5)
    scores[0, 0] = 0
    scores[1, 1] = 2.5
    within = scores.clamp(1e-5, 1)
    expected = within / within.sum(0)
    assert_near(dense_crf(image, scores, iterations=0), expected, 1e-6)
    assert_near(dense_crf(image, scores, gaussian=(3, 0), bilateral=(80, 13, 0)), expected, 1e-6)


def test_layout_and_precision_of_the_scores_are_free() -> None:
    image, scores = smooth_image(9, 11), random_scores(3, 9, 11).half()
    expected = dense_crf(image, scores.float())
    strided = scores.double().permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_()
    assert_near(dense_crf(image.permute(1, 0, 2).contiguous().permute(1, 0, 2), strided), expected, 1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert_near(dense_crf(image, scores), expected, 1e-6)


@pytest.mark.filterwarnings("error")
def test_a_read_only_array_will_do() -> None:
    image, scores = smooth_image(6, 7), random_scores(2, 6, 7)
    array = image.numpy().copy()
    array.setflags(write=False)
    assert torch.equal(dense_crf(array, scores), dense_crf(image, scores))


def test_images_of_one_size_and_calls_of_one_image_do_not_mix() -> None:
    first, second = DenseCRF(smooth_image(8, 9)), DenseCRF(random_image(8, 9))
    scores, others = random_scores(3, 8, 9), random_scores(2, 8, 9, seed=1)
    alone = first(scores)
    first(others)
    second(scores)
    assert torch.equal(first(scores), alone)
    assert torch.equal(dense_crf(smooth_image(8, 9), scores), alone)


def test_it_refines_confident_labels() -> None:
    ramp = torch.linspace(0.9, 0.0, 30).repeat(24, 1)
    crf = DenseCRF(two_halves(edge=17))
    labels = confident_labels(ramp[None], [5], low_alpha=1, high_alpha=2, refine=crf)
    assert set(labels[:, :17].flatten().tolist()) == {5}
    assert set(labels[:, 17:].flatten().tolist()) == {0}


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (torch.zeros(4, 5, dtype=torch.uint8), r"\(4, 5\) torch.uint8"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), r"\(3, 4, 5\) torch.uint8"),
        (torch.zeros(4, 5, 3), r"\(4, 5, 3\) torch.float32"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\) torch.uint8"),
    ],
)
def test_other_images_are_refused(image: Tensor, found: str) -> None:
    with pytest.raises(ValueError, match=rf"image: expected \(H, W, 3\) uint8, got {found}"):
        dense_crf(image, torch.zeros(2, 4, 5))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.zeros(2, 5, 4), r"expected \(C, 4, 5\) as the image, got \(2, 5, 4\) torch.float32"),
        (torch.zeros(4, 5), r"expected \(C, 4, 5\) as the image, got \(4, 5\)"),
        (torch.zeros(0, 4, 5), r"got \(0, 4, 5\)"),
        (torch.zeros(2, 4, 5, dtype=torch.uint8), r"expected floats, got \(2, 4, 5\) torch.uint8"),
        (torch.full((2, 4, 5), float("nan")), r"not all of them are finite, got \(2, 4, 5\)"),
        (torch.zeros(2, 4, 5, device="meta"), "expected them on cpu as the image, .* on meta"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenseCRF(random_image(4, 5))(scores)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"iterations": -1}, "iterations: expected a whole number from 0 up, got -1"),
        ({"iterations": 2.5}, "iterations: .* got 2.5"),
        ({"gaussian": (0, 3)}, r"gaussian: expected 1 standard deviations above 0 .* got \(0, 3\)"),
        ({"gaussian": (3, 3, 3)}, r"gaussian: .* got \(3, 3, 3\)"),
        ({"bilateral": (80, float("nan"), 10)}, r"bilateral: expected 2 .* got \(80, nan, 10\)"),
        ({"bilateral": (80, 13, -1)}, r"bilateral: .* got \(80, 13, -1\)"),
        ({"bilateral": (80, 1e-4, 10)}, "standard deviations are too small"),
        ({"bilateral": (80, 1e-310, 10)}, "standard deviations are too small"),
    ],
)
def test_impossible_parameters_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenseCRF(random_image(4, 5), **parameters)
