from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wsss.method.cam import background_score, constant_background
from wsss.method.metrics import (
    alpha_threshold,
    average_precision,
    background_sweep,
    class_iou,
    class_precision,
    class_recall,
    confident_confusion,
    confident_quality,
    confusion_matrix,
    mean_iou,
)

TRUTH = torch.tensor([[0, 0, 1, 1], [2, 2, 255, 1]], dtype=torch.uint8)
PREDICTION = torch.tensor([[0, 1, 1, 1], [2, 0, 2, 0]], dtype=torch.uint8)


def random_map(n_values: int, *shape: int, seed: int = 0, ignore: bool = True) -> Tensor:
    values = torch.randint(0, n_values + ignore, shape, generator=torch.Generator().manual_seed(seed))
    return values.masked_fill(values == n_values, 255).to(torch.uint8)


def test_confusion_has_one_row_per_true_class():
    assert confusion_matrix(PREDICTION, TRUTH, 3).tolist() == [[1, 1, 0], [1, 2, 0], [1, 0, 1]]
    assert confusion_matrix(PREDICTION, TRUTH, 3).dtype == torch.int64


def test_scores_per_class():
    confusion = confusion_matrix(PREDICTION, TRUTH, 4)
    nan = math.nan
    torch.testing.assert_close(
        class_iou(confusion), torch.tensor([1 / 4, 2 / 4, 1 / 2, nan]).double(), equal_nan=True
    )
    torch.testing.assert_close(
        class_precision(confusion), torch.tensor([1 / 3, 2 / 3, 1, nan]).double(), equal_nan=True
    )
    torch.testing.assert_close(
        class_recall(confusion), torch.tensor([1 / 2, 2 / 3, 1 / 2, nan]).double(), equal_nan=True
    )
    assert mean_iou(confusion).item() == pytest.approx(1.25 / 3)


def test_scores_of_a_stack_are_those_of_its_matrices():
    stack = torch.stack(
        [confusion_matrix(random_map(3, 50, ignore=False), random_map(3, 50, seed=s), 3) for s in (1, 2)]
    )
    torch.testing.assert_close(mean_iou(stack), torch.stack([mean_iou(confusion) for confusion in stack]))


def test_map_without_known_truth_counts_nothing():
    assert not confusion_matrix(PREDICTION, torch.full_like(TRUTH, 255), 3).any()


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"prediction is \(2, 3\), truth \(2, 4\)"):
        confusion_matrix(PREDICTION[:, :3], TRUTH, 3)


@pytest.mark.parametrize("name", ["prediction", "truth"])
def test_class_that_does_not_exist_is_refused(name: str):
    maps = {"prediction": PREDICTION.clone(), "truth": TRUTH.clone()}
    maps[name][0, 0] = 3
    with pytest.raises(ValueError, match=rf"{name}: expected mask values in 0\.\.2, got 0\.\.3"):
        confusion_matrix(**maps, n_values=3)


def test_average_precision_of_a_known_ranking():
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    labels = torch.tensor([[1, 0], [0, 0], [1, 0], [0, 0]])
    precision = average_precision(scores, labels)
    assert precision[0].item() == pytest.approx((1 + 2 / 3) / 2)
    assert precision[1].isnan()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=20))
def test_average_precision_is_the_area_under_precision_and_recall(images: list[tuple[int, bool]]):
    scores, labels = torch.tensor(images, dtype=torch.float64).T
    area, recall = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        chosen = labels[scores >= threshold]
        step = chosen.sum().item() / max(labels.sum().item(), 1) - recall
        area, recall = area + step * chosen.mean().item(), recall + step
    found = average_precision(scores[:, None], labels[:, None]).item()
    assert found == pytest.approx(area if labels.any() else math.nan, nan_ok=True)


def test_confident_quality_counts_undecided_pixels_apart():
    truth = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 255, 255], dtype=torch.uint8)
    labels = torch.tensor([0, 0, 1, 255, 1, 2, 2, 255, 0, 255], dtype=torch.uint8)
    confusion = confident_confusion(labels, truth, 3)
    assert confusion.tolist() == [[2, 1, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1]]
    quality = confident_quality(confusion)
    assert quality == pytest.approx((2 / 8, 1.0, 4 / 8, 2 / 4))


def test_confident_quality_without_foreground():
    labels = torch.zeros(4, dtype=torch.uint8)
    quality = confident_quality(confident_confusion(labels, labels, 3))
    assert quality[:3] == (1, 1, 0)
    assert math.isnan(quality.foreground_precision)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_sweep_equals_one_argmax_per_background(dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    cams = torch.rand(2, 13, 17, generator=generator).to(dtype)
    cams[:, :2] = 0  # where no class is active, even a background of zero wins
    truth, classes = random_map(5, 13, 17), [2, 4]
    palette = torch.tensor([0, *classes], dtype=torch.uint8)
    alphas = (24, 4, 1, 0.5)
    constants = torch.tensor([0, 0.25, 0.5, cams[0, 5, 5].item(), 1]).sort().values
    expected_constant, expected_alpha = (
        torch.stack(
            [
                confusion_matrix(palette[torch.cat([b[None], cams.float()]).argmax(0)], truth, 5)
                for b in backgrounds
            ]
        )
        for backgrounds in (
            [constant_background(cams, constant.item()) for constant in constants],
            [background_score(cams, alpha) for alpha in alphas],
        )
    )
    assert torch.equal(background_sweep(cams, classes, truth, 5, constants), expected_constant)
    thresholds = torch.tensor([alpha_threshold(alpha) for alpha in alphas])
    assert torch.equal(background_sweep(cams, classes, truth, 5, thresholds), expected_alpha)


def test_sweep_of_an_image_without_labels_is_all_background():
    truth = random_map(3, 4, 5)
    found = background_sweep(torch.zeros(0, 4, 5), [], truth, 3, torch.tensor([0.2, 0.4]))
    assert torch.equal(found, confusion_matrix(torch.zeros_like(truth), truth, 3).expand(2, 3, 3))


def test_sweep_refuses_thresholds_out_of_order():
    with pytest.raises(ValueError, match="ascending"):
        background_sweep(torch.zeros(0, 1, 1), [], torch.zeros(1, 1), 2, torch.tensor([0.4, 0.2]))


@pytest.mark.parametrize(("cams", "truth", "name"), [(3, 0, "class_values"), (1, 3, "truth")])
def test_sweep_refuses_a_class_that_does_not_exist(cams: int, truth: int, name: str):
    truth_map = torch.full((2, 2), truth, dtype=torch.uint8)
    with pytest.raises(ValueError, match=rf"{name}: expected mask values in 0\.\.2"):
        background_sweep(torch.ones(1, 2, 2), [cams], truth_map, 3, torch.tensor([0.5]))


@pytest.mark.parametrize("alpha", [0.3, 1, 4, 16, 32])
def test_alpha_threshold_is_where_class_and_background_meet(alpha: float):
    threshold = alpha_threshold(alpha)
    assert (1 - threshold) ** alpha == pytest.approx(threshold, rel=1e-12)


def test_alpha_threshold_of_one_is_a_half():
    assert alpha_threshold(1) == 0.5
