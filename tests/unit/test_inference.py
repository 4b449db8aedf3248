"""Networks over data sets: batching, mirror images, and the way from the CAMs to the grid and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsss.data import ImageRow, read_image
from wsss.data.loading import batches_by_size, prefetch
from wsss.data.transforms import normalised, scaled
from wsss.method.affinity import affinity_stencil, oracle_stencil
from wsss.method.cam import combine_cams
from wsss.method.confident import confident_labels, threshold_labels
from wsss.models.affinitynet import AffinityNet, build_affinitynet
from wsss.models.checkpoints import restore_affinitynet, restore_classifier, save_network
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.results import ArtifactError
from wsss.runtime import Compute
from wsss.stages.affinities.network import (
    average_stencils,
    compute_affinities,
    compute_levels,
    mirror_stencil,
)
from wsss.stages.cams.classifier import classify, compute_cams
from wsss.stages.confident import label_image
from wsss.stages.random_walk import from_grid, propagate_image, to_grid
from wsss.stages.segmentation import segment
from wsss.study.config import Confident, RandomWalk

CPU = Compute(torch.device("cpu"), "float32")
SIZES = [(40, 48), (33, 47), (40, 48), (33, 47), (24, 56)]
LABELS = [(0,), (1, 3), (), (0, 1, 2, 3), (2,)]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRow]:
    """Five smooth random images of three sizes, and with the last the mirror image of the first."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    images = []
    for height, width in SIZES:
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        images.append(np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)))
    images.append(images[0][:, ::-1])
    return [
        save(folder / f"image{number}.png", image, labels)
        for number, (image, labels) in enumerate(zip(images, [*LABELS, LABELS[0]], strict=True))
    ]


def save(path: Path, image: np.ndarray, labels: tuple[int, ...]) -> ImageRow:
    Image.fromarray(np.ascontiguousarray(image)).save(path)
    return ImageRow(path.stem, path, None, "train", False, labels, *image.shape[:2], "")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return CPU.place(build_classifier("small", 4, output_stride=8, dropout=0.5)).eval()


@pytest.fixture(scope="module")
def affinitynet() -> AffinityNet:
    torch.manual_seed(0)
    return CPU.place(build_affinitynet("small", normalization="group")).eval()


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    model = build_segmenter("deeplabv3", 5, backbone="small", output_stride=8, crop_size=64)
    torch.nn.init.normal_(model.head[-1].weight)  # far enough from nothing that several classes win
    return CPU.place(model).eval()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_prefetch_keeps_the_order_and_loads_in_threads(workers: int) -> None:
    seen = set()

    def load(task: int) -> int:
        seen.add(threading.current_thread())
        return task * task

    assert list(prefetch(load, range(20), workers)) == [task * task for task in range(20)]
    assert (threading.current_thread() in seen) == (workers == 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_prefetch_raises_where_the_item_is_due_and_looks_no_further_than_its_workers(workers: int) -> None:
    started = []

    def load(task: int) -> int:
        started.append(task)
        if task == 3:
            raise ValueError("image 3 is broken")
        return task

    items = prefetch(load, range(100), workers)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="image 3 is broken"):
        next(items)
    assert len(started) <= 4 + workers


@settings(deadline=None)
@given(
    sizes=st.lists(st.sampled_from([(10, 10), (10, 20), (20, 10)]), max_size=30),
    batch_pixels=st.integers(1, 2000),
)
def test_batches_hold_every_image_once_with_others_of_its_size(
    sizes: list[tuple[int, int]], batch_pixels: int
) -> None:
    rows = [ImageRow(str(n), Path(), None, "train", False, (), *size, "") for n, size in enumerate(sizes)]
    batches = batches_by_size(rows, batch_pixels)
    assert sorted(int(row.id) for batch in batches for row in batch) == list(range(len(rows)))
    for batch in batches:
        assert len({(row.height, row.width) for row in batch}) == 1
        pixels = batch[0].height * batch[0].width
        assert len(batch) == 1 or len(batch) * pixels <= batch_pixels


def test_classify_gives_each_image_the_logits_it_gets_alone(
    classifier: Classifier, rows: list[ImageRow]
) -> None:
    for row, logits in classify(classifier, rows, compute=CPU):
        image = normalised(read_image(row.image), classifier.backbone.normalization)
        torch.testing.assert_close(logits, classifier(image[None])[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("compute", [CPU, Compute(CPU.device, "float32", workers=2)])
def test_cams_are_those_of_each_image_alone_and_of_its_labels(
    classifier: Classifier, rows: list[ImageRow], compute: Compute
) -> None:
    scales = (1.0, 0.5, 1.5)
    found = {
        name: (cams, classes)
        for name, cams, classes in compute_cams(classifier, rows, scales=scales, flip=True, compute=compute)
    }
    assert set(found) == {row.id for row in rows}
    for row in rows:
        cams, classes = found[row.id]
        assert cams.dtype == np.float16
        assert cams.shape == (len(row.labels), row.height, row.width)
        assert classes.tolist() == list(row.labels)
        expected = combine_cams(list(passes_alone(classifier, row, scales)), (row.height, row.width))
        np.testing.assert_allclose(cams, expected[list(row.labels)].numpy(), atol=1e-3)


@torch.no_grad()
def passes_alone(
    model: Classifier, row: ImageRow, scales: tuple[float, ...]
) -> Iterator[tuple[torch.Tensor, bool]]:
    for scale in scales:
        image = normalised(scaled(read_image(row.image), scale), model.backbone.normalization)[None]
        yield model.cam(image)[0], False
        yield model.cam(image.flip(-1))[0], True


def test_cams_of_the_mirror_image_are_mirrored(classifier: Classifier, rows: list[ImageRow]) -> None:
    pair = [rows[0], rows[-1]]
    found = compute_cams(classifier, pair, scales=(1.0, 2.0), flip=True, compute=CPU)
    (_, cams, _), (_, mirrored, _) = found
    assert cams.max() > 0.9
    np.testing.assert_allclose(mirrored[..., ::-1], cams, atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 11), radius=st.integers(2, 5), seed=st.integers(0, 99))
def test_the_mirrored_stencil_is_that_of_the_mirrored_features(
    height: int, width: int, radius: int, seed: int
) -> None:
    features = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    mirrored = affinity_stencil(features.flip(-1), radius)
    torch.testing.assert_close(mirror_stencil(mirrored, radius), affinity_stencil(features, radius))


def test_average_counts_only_stencils_that_have_the_pair() -> None:
    features = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    stencil = affinity_stencil(features, 5, "cropped")
    mirrored = mirror_stencil(affinity_stencil(features.flip(-1), 5, "cropped"), 5)
    average = average_stencils([stencil, mirrored])
    assert ((stencil > 0) != (mirrored > 0)).any()  # the cropped pairs of one row are not symmetric
    torch.testing.assert_close(average, torch.maximum(stencil, mirrored))
    torch.testing.assert_close(
        average_stencils([torch.tensor([0.2, 0.0]), torch.tensor([0.6, 0.0])]), torch.tensor([0.4, 0.0])
    )


@pytest.mark.parametrize("input_scale", [1.0, 2.0, 0.7])
def test_affinities_lie_on_the_padded_grid(
    affinitynet: AffinityNet, rows: list[ImageRow], input_scale: float
) -> None:
    found = dict(compute_affinities(affinitynet, rows, input_scale=input_scale, flip=False, compute=CPU))
    for row in rows:
        cells = [-(-round(side * input_scale) // 8) for side in (row.height, row.width)]
        assert found[row.id].shape == (34, *cells)
        assert found[row.id].dtype == np.float16
        assert 0 < found[row.id].max() <= 1
    image = normalised(scaled(read_image(rows[0].image), input_scale), affinitynet.backbone.normalization)
    bottom, right = (-side % 8 for side in image.shape[1:])
    padded = torch.nn.functional.pad(image, (0, right, 0, bottom))[None]
    np.testing.assert_allclose(found[rows[0].id], affinitynet(padded)[0].detach().numpy(), atol=1e-3)


def test_affinities_with_flip_do_not_tell_an_image_from_its_mirror_image(
    affinitynet: AffinityNet, rows: list[ImageRow]
) -> None:
    pair = [rows[0], rows[-1]]
    found = dict(compute_affinities(affinitynet, pair, input_scale=2.0, flip=True, compute=CPU))
    once = dict(compute_affinities(affinitynet, pair, input_scale=2.0, flip=False, compute=CPU))
    straight, mirrored = (torch.from_numpy(found[row.id]) for row in pair)
    torch.testing.assert_close(mirror_stencil(mirrored, 5), straight, atol=2e-3, rtol=0)
    assert not np.allclose(once[pair[0].id], found[pair[0].id], atol=2e-3)


def test_levels_give_the_affinities(affinitynet: AffinityNet, rows: list[ImageRow]) -> None:
    widths = [affinitynet.backbone.channels[level] for level in ("early", "middle", "last")]
    expected = dict(compute_affinities(affinitynet, rows, input_scale=2.0, flip=False, compute=CPU))
    for name, maps in compute_levels(affinitynet, rows, input_scale=2.0, compute=CPU):
        levels = torch.from_numpy(maps).permute(2, 0, 1)[None].split(widths, dim=1)
        stencil = affinitynet.stencil(affinitynet.features_from(levels))[0]
        np.testing.assert_allclose(stencil.detach().numpy(), expected[name], atol=5e-3)


def test_segment_takes_the_likeliest_class_of_each_image_alone(
    segmenter: Segmenter, rows: list[ImageRow]
) -> None:
    found = dict(segment(segmenter, rows, scales=(1.0,), flip=False, compute=CPU))
    for row in rows:
        image = normalised(read_image(row.image), segmenter.backbone.normalization)[None]
        expected = segmenter(image)[0].argmax(0).numpy()
        assert found[row.id].dtype == np.uint8
        assert (found[row.id] == expected).mean() > 0.999
    assert len(np.unique(np.concatenate([mask.ravel() for mask in found.values()]))) > 1


def test_segment_with_flip_mirrors_with_the_image(segmenter: Segmenter, rows: list[ImageRow]) -> None:
    pair = [rows[0], rows[-1]]
    found = dict(segment(segmenter, pair, scales=(1.0, 0.5), flip=True, compute=CPU))
    assert (found[pair[1].id][:, ::-1] == found[pair[0].id]).mean() > 0.999


def test_cells_average_their_pixels() -> None:
    scores = torch.rand(2, 19, 33, generator=torch.Generator().manual_seed(0))
    cells = to_grid(scores, 1.0)
    assert cells.shape == (2, 3, 5)
    torch.testing.assert_close(cells[:, 1, 2], scores[:, 8:16, 16:24].mean((1, 2)))
    torch.testing.assert_close(cells[:, 2, 4], scores[:, 16:, 32:].mean((1, 2)))


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(8, 40),
    width=st.integers(8, 40),
    input_scale=st.sampled_from([0.5, 0.8, 1.0, 1.5, 2.0]),
)
def test_a_constant_survives_the_grid_and_fits_the_stencil(
    height: int, width: int, input_scale: float
) -> None:
    cells = to_grid(torch.full((1, height, width), 0.3), input_scale)
    assert cells.shape[1:] == tuple(-(-round(side * input_scale) // 8) for side in (height, width))
    back = from_grid(cells, (height, width), input_scale)
    torch.testing.assert_close(back, torch.full((1, height, width), 0.3))


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    maps=st.integers(1, 4),
    input_scale=st.sampled_from([0.5, 0.7, 1.0, 1.5, 2.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_cells_come_to_the_image_as_by_two_resizings_whatever_maps_are_beside_them(
    height: int, width: int, maps: int, input_scale: float, dtype: torch.dtype
) -> None:
    scaled_to = [max(1, round(side * input_scale)) for side in (height, width)]
    cells = torch.rand(maps, *(-(-side // 8) for side in scaled_to), dtype=dtype)
    fine = torch.nn.functional.interpolate(cells[None], scale_factor=8, mode="bilinear")
    fine = fine[..., : scaled_to[0], : scaled_to[1]]
    expected = torch.nn.functional.interpolate(fine, (height, width), mode="bilinear")[0]
    found = from_grid(cells, (height, width), input_scale)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(from_grid(cells[:1], (height, width), input_scale), found[:1])


def halves(height: int = 40, width: int = 64) -> torch.Tensor:
    """Label 1 left, 2 right."""
    return (1 + (torch.arange(width) >= width // 2).to(torch.uint8)).expand(height, width)


@pytest.mark.parametrize("input_scale", [1.0, 2.0])
def test_the_walk_fills_segments_from_their_seeds(input_scale: float) -> None:
    seeds = torch.zeros(2, 40, 64)
    seeds[0, 16:24, 8:16] = 1
    seeds[1, 16:24, 48:56] = 1
    cell = round(8 / input_scale)
    stencil = oracle_stencil(halves()[::cell, ::cell].contiguous()).half()
    walk = RandomWalk(background="constant", constant=0.01, beta=1, t=4000)
    result = propagate_image(stencil, seeds.half(), [2, 5], input_scale=input_scale, walk=walk)
    away_from_the_border = np.r_[0:28, 36:64]  # bilinear scores blur one cell's width
    expected = np.where(halves() == 1, 3, 6)
    np.testing.assert_array_equal(result.mask[:, away_from_the_border], expected[:, away_from_the_border])
    assert result.classes.tolist() == [0, 3, 6]
    assert result.scores.shape == (3, *stencil.shape[1:])


def test_without_affinities_the_winner_of_the_cells_stays() -> None:
    cams = torch.zeros(1, 16, 24)
    cams[0, :, :8] = 1
    walk = RandomWalk(background="power", alpha=2, t=1, beta=8)
    result = propagate_image(torch.zeros(34, 2, 3), cams, [0], input_scale=1.0, walk=walk)
    np.testing.assert_array_equal(result.mask, np.repeat([1, 0], [8, 16])[None].repeat(16, 0))
    np.testing.assert_array_equal(result.scores[1], [[1, 0, 0]] * 2)


def test_an_image_without_labels_is_background() -> None:
    result = propagate_image(
        torch.rand(34, 3, 3), torch.zeros(0, 20, 24), [], input_scale=1.0, walk=RandomWalk()
    )
    np.testing.assert_array_equal(result.mask, np.zeros((20, 24), np.uint8))
    assert result.scores.shape == (1, 3, 3)
    assert result.classes.tolist() == [0]


def test_restored_networks_give_what_the_saved_ones_gave(
    classifier: Classifier, rows: list[ImageRow], tmp_path: Path
) -> None:
    config = {"backbone": "small", "output_stride": 8, "dropout": 0.5}
    save_network(tmp_path / "checkpoint.pt", classifier, config, ["a", "b", "c", "d"])
    restored = restore_classifier(tmp_path / "checkpoint.pt")
    image = torch.rand(1, 3, 40, 48)
    torch.testing.assert_close(restored.cam(image), classifier.cam(image), atol=1e-5, rtol=1e-5)
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt: holds Classifier, expected AffinityNet"):
        restore_affinitynet(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("pooling", ["vote", "scores"])
def test_confident_regions_follow_their_section(pooling: Any) -> None:
    cams, pool = (
        torch.rand(2, 16, 24, generator=torch.Generator().manual_seed(0)),
        8 if pooling == "scores" else 1,
    )
    power = Confident(low_alpha=1, high_alpha=3, pooling=pooling)
    expected = confident_labels(cams, [3, 5], low_alpha=1, high_alpha=3, pool=pool)
    assert torch.equal(label_image(cams, [2, 4], power), expected)
    constant = Confident(
        background="constant", foreground_threshold=0.7, background_threshold=0.4, pooling=pooling
    )
    expected = threshold_labels(cams, [3, 5], foreground=0.7, background=0.4, pool=pool)
    assert torch.equal(label_image(cams, [2, 4], constant), expected)
    assert not torch.equal(expected, label_image(cams, [2, 4], power))
