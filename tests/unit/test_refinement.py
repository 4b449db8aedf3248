"""The dense CRF where a stage refines by it, against a brute-force CRF and against known refinements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from wsss.data import ImageRow, Manifest, read_image, write_mask
from wsss.method.cam import background_score, constant_background, with_background
from wsss.method.confident import confident_labels
from wsss.method.dense_crf import dense_crf
from wsss.method.grid import from_grid
from wsss.method.metrics import confusion_matrix
from wsss.results import Cams
from wsss.runtime.compute import Compute
from wsss.stages.confident import label_image
from wsss.stages.inference.refinement import Refine, image_refinement
from wsss.stages.random_walk import propagate_image, walk_scores
from wsss.stages.scores.cams import score_cams, score_refined_cams, score_study_cams
from wsss.stages.scores.truth import Truth
from wsss.stages.segmentation import segment
from wsss.study.config import (
    Confident,
    ConstantBackground,
    DenseCrf,
    PowerThresholds,
    RandomWalk,
    Segmentation,
)

CRF = DenseCrf(iterations=4, gaussian=(2.0, 1.5), bilateral=(6.0, 30.0, 4.0))
SIZE = (16, 20)
EDGE = 13
"""Column at which the colour of the image changes."""


@pytest.fixture
def row(tmp_path: Path) -> ImageRow:
    """A photograph of two colours, the right one somewhat noisy."""
    image = np.full((*SIZE, 3), 60, np.uint8)
    image[:, EDGE:] = 190 + np.random.default_rng(0).integers(0, 20, (SIZE[0], SIZE[1] - EDGE, 3))
    Image.fromarray(image).save(tmp_path / "a.png")
    return ImageRow("a", tmp_path / "a.png", None, "train", False, (0, 1), *SIZE, "")


def random_maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def uncertain(maps: int) -> Tensor:
    """Scores (maps, H, W) that hardly tell label 0 left of the edge from label 1 right of it."""
    scores = 0.6 * random_maps(maps, *SIZE)
    scores[0, :, :EDGE] += 0.3
    scores[1, :, EDGE:] += 0.3
    return scores


def softmax(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(energy - energy.max(0))
    return powers / powers.sum(0)


def brute_force(image: NDArray[np.uint8], scores: Tensor, crf: DenseCrf) -> NDArray[np.float64]:
    """Mean field with sums over all pairs of pixels (Krähenbühl & Koltun 2011, algorithm 1), in float64."""
    xy = np.array([(x, y) for y, x in product(range(image.shape[0]), range(image.shape[1]))], float)
    colours = image.reshape(-1, 3).astype(float)
    deviation, weight = crf.gaussian
    reach, contrast, strength = crf.bilateral
    kernels = []
    for features, share in (
        (xy / deviation, weight),
        (np.hstack([xy / reach, colours / contrast]), strength),
    ):
        kernel = np.exp(-((features[:, None] - features) ** 2).sum(-1) / 2)
        norm = kernel.sum(1) ** -0.5
        kernels.append(share * norm[:, None] * kernel * norm)
    likelihood = np.log(np.clip(scores.double().numpy().reshape(len(scores), -1), 1e-5, 1))
    posterior = softmax(likelihood)
    for _ in range(crf.iterations):
        posterior = softmax(likelihood + sum(posterior @ kernel for kernel in kernels))
    return posterior.reshape(scores.shape)


def mirrored(scores: Tensor) -> Tensor:
    """A refinement that is known: scores of the mirror image."""
    return scores.flip(-1)


# The refinement of an image


def test_the_section_reaches_the_dense_crf(row: ImageRow) -> None:
    scores = random_maps(3, *SIZE)
    keys = {"iterations": CRF.iterations, "gaussian": CRF.gaussian, "bilateral": CRF.bilateral}
    assert torch.equal(image_refinement(row, CRF)(scores), dense_crf(read_image(row.image), scores, **keys))


@pytest.mark.parametrize(
    "change",
    [{"iterations": 1}, {"gaussian": (4.0, 1.5)}, {"gaussian": (2.0, 0.0)}, {"bilateral": (6.0, 30.0, 1.0)}],
)
def test_each_key_of_the_section_has_an_effect(row: ImageRow, change: dict[str, object]) -> None:
    scores, other = random_maps(3, *SIZE), CRF.model_copy(update=change)
    assert not torch.equal(image_refinement(row, CRF)(scores), image_refinement(row, other)(scores))


def test_refined_scores_are_nearly_those_of_brute_force(row: ImageRow) -> None:
    scores = uncertain(3)
    refined = image_refinement(row, CRF)(scores).numpy()
    expected = brute_force(read_image(row.image), scores, CRF)
    assert np.abs(refined - expected).mean() < 0.02
    assert (refined.argmax(0) == expected.argmax(0)).mean() > 0.98
    assert (scores.numpy().argmax(0) == expected.argmax(0)).mean() < 0.98  # it does something


# Confident regions and pseudo masks


def test_confident_regions_are_labelled_by_the_refined_scores() -> None:
    cams, values = random_maps(2, *SIZE), np.array([2, 5])
    section = Confident(background=PowerThresholds(low_alpha=1, high_alpha=3))
    expected = confident_labels(cams.flip(-1), values, low_alpha=1, high_alpha=3)
    assert torch.equal(label_image(cams, values, section, mirrored), expected)
    assert not torch.equal(label_image(cams, values, section), expected)


@pytest.mark.parametrize(
    "background", [RandomWalk().background, ConstantBackground(kind="constant", score=0.4)]
)
def test_pseudo_masks_are_those_of_the_refined_scores(background: object) -> None:
    cams, values = random_maps(2, *SIZE).half(), np.array([3, 4])
    walk = RandomWalk(background=background, t=3)  # type: ignore[arg-type]
    stencil = random_maps(34, 2, 3, seed=1).half()
    fine = from_grid(walk_scores(stencil, cams, input_scale=1.0, walk=walk), SIZE, 1.0)
    if walk.background.kind == "constant":
        fine[0] = walk.background.score
    seen: list[Tensor] = []

    def refine(scores: Tensor) -> Tensor:
        seen.append(scores.clone())
        return scores[[1, 2, 0]]  # the first class for the background, and so on

    mask = propagate_image(stencil, cams, values, input_scale=1.0, walk=walk, refine=refine)
    (given,) = seen
    assert torch.equal(given, fine)  # full size, background first
    np.testing.assert_array_equal(mask, np.array([0, 3, 4])[fine[[1, 2, 0]].argmax(0)])


def test_the_dense_crf_moves_pseudo_masks_to_the_edge(row: ImageRow) -> None:
    """Cells of 8 pixels cannot hold an edge at column 13; the dense CRF finds it in the image."""
    cams = torch.zeros(1, *SIZE)
    cams[0, :, EDGE:] = 0.9
    walk = RandomWalk(background=ConstantBackground(kind="constant", score=0.3), t=1)
    arguments = {"input_scale": 1.0, "walk": walk}
    plain = propagate_image(torch.zeros(34, 2, 3), cams, np.array([1]), **arguments)
    refine = image_refinement(row, CRF)
    sharp = propagate_image(torch.zeros(34, 2, 3), cams, np.array([1]), **arguments, refine=refine)
    true = np.broadcast_to(np.arange(SIZE[1]) >= EDGE, SIZE)
    assert (sharp == true).all()
    assert (plain != true).any()


# CAMs with the dense CRF


@pytest.fixture
def truth(row: ImageRow, tmp_path: Path) -> Truth:
    """Class 2 left of the edge, class 1 right of it."""
    write_mask(
        tmp_path / "mask.png", np.where(np.arange(SIZE[1]) < EDGE, 2, 1).astype(np.uint8)[None].repeat(16, 0)
    )
    scored = ImageRow("a", row.image, tmp_path / "mask.png", "train", True, (0, 1), *SIZE, "")
    return Truth(Manifest(("cat", "dog"), (scored,)), "train")


def refined_miou(
    truth: Truth, cams: Cams, refine: Callable[[str], Refine], *constants: float
) -> dict[str, object]:
    return score_refined_cams(truth, {"a": cams}, refine, constants).metrics


def test_refined_cams_are_scored_by_what_the_refinement_gives(truth: Truth) -> None:
    scores = (0.9 * random_maps(2, *SIZE)).half()
    found = refined_miou(truth, Cams(scores.numpy(), np.array([1, 2])), lambda _: mirrored, 0.35)
    maps = scores.float()
    stack = with_background(maps, constant_background(maps, 0.35)).flip(-1)
    mask = torch.tensor([0, 1, 2], dtype=torch.uint8)[stack.argmax(0)]
    ((_, true_mask),) = truth
    assert found["confusion"] == confusion_matrix(mask, true_mask, 3).tolist()
    assert found["constant"] == 0.35


def test_refined_cams_are_scored_at_the_best_constant(truth: Truth) -> None:
    scores = np.stack(
        [np.where(np.arange(SIZE[1]) >= EDGE, 0.6, 0.1), np.where(np.arange(SIZE[1]) < EDGE, 0.5, 0.1)]
    )
    cams = Cams(scores[:, None].repeat(16, 1).astype(np.float16), np.array([1, 2]))
    found = refined_miou(truth, cams, lambda _: lambda stack: stack, 0.7, 0.55, 0.3)
    assert (found["constant"], found["miou"]) == (0.3, 1.0)
    assert refined_miou(truth, cams, lambda _: lambda stack: stack, 0.2, 0.3)["constant"] == 0.2  # of equals


def test_the_dense_crf_cleans_cams(truth: Truth, row: ImageRow) -> None:
    cams = Cams(uncertain(2).flip(0).half().numpy(), np.array([1, 2]))
    before = score_cams(truth, {"a": cams}).metrics["miou"]
    after = refined_miou(truth, cams, lambda _: image_refinement(row, CRF), 0.3)
    stack = torch.cat([torch.full((1, *SIZE), 0.3), torch.from_numpy(cams.scores).float()])
    mask = torch.from_numpy(brute_force(read_image(row.image), stack, CRF).argmax(0))
    ((_, true_mask),) = truth
    confusion = confusion_matrix(mask, true_mask, 3)
    assert np.abs(np.array(after["confusion"]) - confusion.numpy()).sum() <= 0.02 * true_mask.numel()
    assert after["miou"] > before  # type: ignore[operator]


def test_a_study_scores_its_cams_before_and_after(truth: Truth, row: ImageRow) -> None:
    mask = row.image.with_name("mask.png")
    images = Manifest(("cat", "dog"), (replace(row, mask=mask, scored=True),))
    cams = Cams(uncertain(2).flip(0).half().numpy(), np.array([1, 2]))
    metrics, before, after = score_study_cams(images, {"a": cams}, CRF)
    best = metrics["constant"]
    around = [best - 0.05, best, best + 0.05]
    expected = score_refined_cams(truth, {"a": cams}, lambda _: image_refinement(row, CRF), around)
    for key in ("confusion", "constant", "miou"):
        assert metrics["dense_crf"][key] == expected.metrics[key]
    assert metrics["dense_crf"]["miou"] > metrics["miou"]
    for images_of, confusion in ((before, metrics["confusion"]), (after, metrics["dense_crf"]["confusion"])):
        assert images_of[0].matrix(3)[:, :3].tolist() == confusion
    assert score_study_cams(images, {"a": cams}).refined == []
    assert score_study_cams(images.without_masks(), {}, CRF).refined == []


# The segmentation network


class Colours(nn.Module):
    """A network whose logits are the colours of the image, and noise that is the same at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = SimpleNamespace(normalization=lambda image: image)

    def forward(self, images: Tensor) -> Tensor:
        noise = random_maps(3, *images.shape[-2:], seed=4)
        return torch.stack([1 - images[:, 0], images[:, 0], 0 * images[:, 0]], 1) + 1.2 * noise


COMPUTE = Compute(torch.device("cpu"), "float32")
ONCE = Segmentation(scales=(1.0,), flip=False)


def test_masks_of_the_network_are_refined_by_the_image(row: ImageRow) -> None:
    ((image_id, mask),) = segment(Colours(), [row], ONCE, COMPUTE, CRF)  # type: ignore[arg-type]
    image = read_image(row.image)
    probabilities = Colours()(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255).softmax(1)[
        0
    ]
    expected = brute_force(image, probabilities, CRF).argmax(0)
    assert image_id == "a"
    assert (mask == expected).mean() > 0.98
    exact = image_refinement(row, CRF)(probabilities).argmax(0)
    np.testing.assert_array_equal(mask, exact)


def test_without_the_section_nothing_is_refined(row: ImageRow) -> None:
    ((_, mask),) = segment(Colours(), [row], ONCE, COMPUTE)  # type: ignore[arg-type]
    ((_, refined),) = segment(Colours(), [row], ONCE, COMPUTE, CRF)  # type: ignore[arg-type]
    assert (mask != refined).mean() > 0.02
    true = np.broadcast_to(np.arange(SIZE[1]) >= EDGE, SIZE)
    assert (refined == true).mean() > (mask == true).mean()


def test_scales_are_averaged_before_the_refinement(row: ImageRow) -> None:
    twice = Segmentation(scales=(1.0, 1.0), flip=False)
    ((_, once),), ((_, both),) = (
        segment(Colours(), [row], section, COMPUTE, CRF)  # type: ignore[arg-type]
        for section in (ONCE, twice)
    )
    np.testing.assert_array_equal(once, both)


def test_the_background_of_confident_regions_is_refined_too() -> None:
    """Both stacks, of the strong and of the weak background, go through the refinement."""
    cams, seen = random_maps(1, *SIZE), []

    def remember(scores: Tensor) -> Tensor:
        seen.append(scores[0].clone())
        return scores

    label_image(
        cams, np.array([1]), Confident(background=PowerThresholds(low_alpha=1, high_alpha=3)), remember
    )
    torch.testing.assert_close(seen, [background_score(cams, 1), background_score(cams, 3)])
