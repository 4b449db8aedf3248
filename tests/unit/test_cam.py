from __future__ import annotations

import pytest
import torch

from wsss.method.cam import background_score, combine_cams, constant_background


def random_scores(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_one_pass_is_rectified_and_divided_by_its_maximum():
    scores = torch.tensor([[[-1.0, 2.0], [4.0, 1.0]], [[-1.0, -2.0], [-3.0, -4.0]]])
    cams = combine_cams([(scores, False)], (2, 2))
    torch.testing.assert_close(cams[0], torch.tensor([[0, 0.5], [1, 0.25]]), atol=1e-5, rtol=0)
    assert not cams[1].any()


def test_passes_of_several_scales_are_resized_and_added():
    small, large = random_scores(2, 3, 4), random_scores(2, 6, 8, seed=1)
    resized = [
        torch.nn.functional.interpolate(s.relu()[None], (12, 16), mode="bilinear", align_corners=False)[0]
        for s in (small, large)
    ]
    total = sum(resized)
    cams = combine_cams(iter([(small, False), (large, False)]), (12, 16))
    torch.testing.assert_close(cams, total / (total.amax((1, 2), keepdim=True) + 1e-5))


def test_mirrored_pass_is_mirrored_back():
    scores = random_scores(3, 5, 7)
    straight = combine_cams([(scores, False)], (21, 33))
    torch.testing.assert_close(combine_cams([(scores.flip(-1), True)], (21, 33)), straight)
    both = combine_cams([(scores, False), (scores.flip(-1), True)], (21, 33))
    torch.testing.assert_close(both, straight, atol=1e-4, rtol=0)


def test_power_applies_before_the_passes_are_added():
    first, second = torch.full((1, 1, 1), 4.0), torch.full((1, 1, 2), 9.0)
    second[..., 1] = 0
    cams = combine_cams([(first.expand(1, 1, 2), False), (second, False)], (1, 2), power=0.5)
    torch.testing.assert_close(cams, torch.tensor([[[1.0, 2 / 5]]]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_give_float32(dtype: torch.dtype):
    cams = combine_cams([(random_scores(2, 4, 4).to(dtype), False)], (8, 8))
    assert cams.dtype == torch.float32
    assert cams.min() >= 0
    assert cams.max() < 1


def test_image_without_labels():
    cams = combine_cams([(torch.zeros(0, 4, 5), False), (torch.zeros(0, 2, 3), True)], (32, 40))
    assert cams.shape == (0, 32, 40)
    assert torch.equal(background_score(cams, 4), torch.ones(32, 40))
    assert torch.equal(constant_background(cams, 0.3), torch.full((32, 40), 0.3))


def test_a_batch_equals_its_images():
    scores = random_scores(3, 2, 4, 5)
    batch = combine_cams([(scores, False)], (9, 9))
    torch.testing.assert_close(batch, torch.stack([combine_cams([(s, False)], (9, 9)) for s in scores]))


def test_no_pass_is_refused():
    with pytest.raises(ValueError, match="at least one pass"):
        combine_cams([], (4, 4))


def test_passes_of_different_classes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 4, 4\) and then \(1, 4, 4\)"):
        combine_cams([(torch.zeros(2, 4, 4), False), (torch.zeros(1, 4, 4), False)], (4, 4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_background_is_the_power_of_what_no_class_claims(dtype: torch.dtype):
    cams = torch.tensor([[[0.0, 0.25], [0.5, 1.0]], [[0.5, 0.0], [0.25, 0.5]]], dtype=dtype)
    background = background_score(cams, 2)
    expected = torch.tensor([[0.25, 0.5625], [0.25, 0.0]], dtype=background.dtype)
    torch.testing.assert_close(background, expected)
    assert background.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_background_of_a_fractional_power_stays_a_number_above_one():
    assert background_score(torch.full((1, 1, 1), 1.001), 0.5).item() == 0
