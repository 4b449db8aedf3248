from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wsss.method.cam import background_score
from wsss.method.confident import confident_labels, grid_labels, threshold_labels


def random_cams(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_labels_lie_between_the_two_backgrounds():
    cams = torch.tensor([[[0.1, 0.3, 0.6]], [[0.0, 0.1, 0.2]]])
    labels = confident_labels(cams, [3, 7], low_alpha=1, high_alpha=8)
    # 0.9 and 0.43 against 0.1: background. 0.7 and 0.06 against 0.3: undecided. 0.4 against 0.6: class.
    assert labels.tolist() == [[0, 255, 3]]
    assert labels.dtype == torch.uint8


def test_each_pixel_follows_the_definition():
    cams, classes = random_cams(3, 9, 11) ** 2, [2, 5, 20]
    labels = confident_labels(cams, classes, low_alpha=1, high_alpha=6)
    seen = set()
    for y in range(9):
        for x in range(11):
            scores = cams[:, y, x]
            strongest, low, high = scores.max(), (1 - scores.max()), (1 - scores.max()) ** 6
            expected = classes[int(scores.argmax())] if strongest > low else 0 if strongest <= high else 255
            assert labels[y, x] == expected
            seen.add(expected)
    assert seen == {0, 255, *classes}


def test_each_pixel_follows_the_definition_with_thresholds():
    cams, classes = random_cams(2, 9, 11) ** 3, [2, 20]
    labels = threshold_labels(cams, classes, foreground=0.3, background=0.05)
    seen = set()
    for y in range(9):
        for x in range(11):
            strongest, winner = cams[:, y, x].max(0)
            expected = classes[int(winner)] if strongest > 0.3 else 0 if strongest <= 0.05 else 255
            assert labels[y, x] == expected
            seen.add(expected)
    assert seen == {0, 255, *classes}


def test_thresholds_are_refined_and_pooled_like_powers():
    cams, seen = random_cams(1, 16, 16), []

    def remember(scores: Tensor) -> Tensor:
        seen.append(scores[0].unique().tolist())
        return scores

    labels = threshold_labels(cams, [1], foreground=0.5, background=0.25, refine=remember, pool=8)
    assert seen == [[0.5], [0.25]]
    assert all(len(cell.unique()) == 1 for rows in labels.split(8) for cell in rows.split(8, 1))
    with pytest.raises(ValueError, match=r"background 0\.4 exceeds foreground 0\.3"):
        threshold_labels(cams, [1], foreground=0.3, background=0.4)


def test_image_without_labels_is_background():
    labels = confident_labels(torch.zeros(0, 4, 5), [], low_alpha=4, high_alpha=24)
    assert labels.shape == (4, 5)
    assert not labels.any()


def test_refinement_sees_both_stacks_and_decides():
    cams, seen = random_cams(2, 3, 4), []

    def swap_classes(scores: Tensor) -> Tensor:
        seen.append(scores[0].clone())
        return scores[[0, 2, 1]]

    labels = confident_labels(cams, [1, 2], low_alpha=1, high_alpha=4, refine=swap_classes)
    torch.testing.assert_close(seen, [background_score(cams, 1), background_score(cams, 4)])
    assert torch.equal(labels, confident_labels(cams.flip(0), [1, 2], low_alpha=1, high_alpha=4))


def test_background_stands_where_refinement_contradicts():
    stacks = iter([torch.tensor([[[0.0]], [[1.0]]]), torch.tensor([[[1.0]], [[0.0]]])])
    labels = confident_labels(
        torch.ones(1, 1, 1), [4], low_alpha=1, high_alpha=2, refine=lambda scores: next(stacks)
    )
    assert labels.item() == 0


def test_pooling_averages_scores_before_the_decision():
    cams = torch.zeros(1, 8, 12)
    cams[0, :3, :8] = 1
    # Class 3/8 on average, background (1 - cam)^alpha 5/8 for any alpha: the average decides, not a vote.
    assert confident_labels(cams, [6], low_alpha=1, high_alpha=9, pool=8).tolist() == [[0] * 12] * 8
    cams[0, 3:, :8] = 0.4
    # Class 0.625; background 0.375 and less. The last four columns make a cell of their own.
    labels = confident_labels(cams, [6], low_alpha=1, high_alpha=9, pool=8)
    assert labels.tolist() == [[6] * 8 + [0] * 4] * 8


@pytest.mark.parametrize("classes", [[1], [1, 0], [1, 255], [1, 2, 3]])
def test_classes_that_do_not_fit_are_refused(classes: list[int]):
    with pytest.raises(ValueError, match=r"expected 2 mask values in 1\.\.254"):
        confident_labels(torch.zeros(2, 3, 3), classes, low_alpha=4, high_alpha=24)


def test_exchanged_alphas_are_refused():
    with pytest.raises(ValueError, match="low_alpha 24 exceeds high_alpha 4"):
        confident_labels(torch.zeros(1, 3, 3), [1], low_alpha=24, high_alpha=4)


def test_cells_take_the_most_frequent_label():
    labels = torch.zeros(8, 16, dtype=torch.uint8)
    labels[:, :5] = 3
    labels[:, 8:13] = 255
    assert grid_labels(labels).tolist() == [[3, 255]]
    assert grid_labels(labels, ignore_votes=False).tolist() == [[3, 0]]


def test_ties_go_to_the_smallest_label():
    labels = torch.tensor([[7, 255], [7, 255]], dtype=torch.uint8)
    assert grid_labels(labels, 2).tolist() == [[7]]
    assert grid_labels(torch.tensor([[9, 0]], dtype=torch.uint8), 2).tolist() == [[0]]


@pytest.mark.parametrize("ignore_votes", [True, False])
def test_cell_without_known_label_stays_unknown(ignore_votes: bool):
    labels = torch.full((2, 8, 8), 255, dtype=torch.uint8)
    labels[1, 0, 0] = 0
    expected = [[[255]], [[255 if ignore_votes else 0]]]
    assert grid_labels(labels, ignore_votes=ignore_votes).tolist() == expected


def test_only_pixels_inside_the_map_vote():
    labels = torch.zeros(9, 10, dtype=torch.uint8)
    labels[8] = 1
    labels[:8, 8:] = 2
    assert grid_labels(labels).tolist() == [[0, 2], [1, 1]]
    assert grid_labels(labels).dtype == torch.uint8
