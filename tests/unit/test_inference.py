"""Networks over data sets: batching, scales, mirror images, and kinds of CAMs and affinities by name."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsss.data import ImageRow, Manifest, read_image
from wsss.data.loading import batches_by_size, prefetch
from wsss.data.transforms import normalised, scaled
from wsss.method.affinity import affinity_stencil
from wsss.method.cam import combine_cams
from wsss.models.affinitynet import AffinityNet, build_affinitynet
from wsss.models.checkpoints import save_network
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.results import AffinityGrid
from wsss.runtime.compute import Compute
from wsss.stages import affinities as affinity_kinds
from wsss.stages import cams as cam_kinds
from wsss.stages.affinities.network import (
    average_stencils,
    compute_affinities,
    mirror_stencil,
)
from wsss.stages.cams.classifier import classify, compute_cams
from wsss.stages.inference.features import compute_features
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.segmentation import segment
from wsss.study import config
from wsss.study.params import ComputeAffinities, ComputeCams
from wsss.study.registry import AFFINITY_KINDS, CAM_KINDS, choices

CPU = Compute(torch.device("cpu"), "float32")
SIZES = [(40, 48), (33, 47), (40, 48), (33, 47), (24, 56)]
LABELS = [(0,), (1, 3), (), (0, 1, 2, 3), (2,)]
AFFINITYNET = config.AffinityNet(normalization="group")


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
    return CPU.place(build_classifier(config.Classifier(), 4)).eval()


@pytest.fixture(scope="module")
def affinitynet() -> AffinityNet:
    torch.manual_seed(0)
    return CPU.place(build_affinitynet(AFFINITYNET)).eval()


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    model = build_segmenter(config.Segmenter(crop_size=64), 5)
    for parameter in model.head.parameters():  # far enough from nothing that several classes win
        torch.nn.init.normal_(parameter)
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
    section = config.ClassifierCams(scales=(1.0, 0.5, 1.5), flip=True)
    found = {name: (cams, values) for name, cams, values in compute_cams(classifier, rows, section, compute)}
    assert set(found) == {row.id for row in rows}
    for row in rows:
        cams, values = found[row.id]
        assert cams.dtype == np.float16
        assert cams.shape == (len(row.labels), row.height, row.width)
        assert values.tolist() == [label + 1 for label in row.labels]
        passes = list(passes_alone(classifier, row, section.scales))
        expected = combine_cams(passes, (row.height, row.width))
        np.testing.assert_allclose(cams, expected[list(row.labels)].numpy(), atol=1e-3)


@torch.no_grad()
def passes_alone(
    model: Classifier, row: ImageRow, scales: tuple[float, ...]
) -> Iterator[tuple[torch.Tensor, bool]]:
    for scale in scales:
        image = normalised(scaled(read_image(row.image), scale), model.backbone.normalization)[None]
        yield model.cam(image)[0], False
        yield model.cam(image.flip(-1))[0], True


def test_cams_are_of_the_weights_that_the_section_names(classifier: Classifier, rows: list[ImageRow]) -> None:
    torch.manual_seed(0)
    model = CPU.place(build_classifier(config.Classifier(refit=0.5), 4)).eval()
    model.fc8.load_state_dict(classifier.fc8.state_dict())
    model.backbone.load_state_dict(classifier.backbone.state_dict())
    with torch.no_grad():
        model.refit.weight.copy_(model.fc8.weight.flip(0))
    once = config.ClassifierCams(scales=(1.0,), flip=False)
    (_, own, _), *_ = compute_cams(model, [rows[-1]], once, CPU)
    refit = once.model_copy(update={"weights": "refit"})
    every = replace(rows[-1], labels=tuple(range(4)))
    (_, all_own, _), *_ = compute_cams(model, [every], once, CPU)
    (_, all_refitted, _), *_ = compute_cams(model, [every], refit, CPU)
    np.testing.assert_array_equal(own, all_own[list(rows[-1].labels)])
    np.testing.assert_array_equal(all_refitted, all_own[::-1])


def test_cams_of_the_mirror_image_are_mirrored(classifier: Classifier, rows: list[ImageRow]) -> None:
    pair = [rows[0], rows[-1]]
    found = compute_cams(classifier, pair, config.ClassifierCams(scales=(1.0, 2.0), flip=True), CPU)
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


def test_features_give_the_affinities(affinitynet: AffinityNet, rows: list[ImageRow]) -> None:
    widths = list(affinitynet.backbone.channels)
    expected = dict(compute_affinities(affinitynet, rows, input_scale=2.0, flip=False, compute=CPU))
    for name, maps in compute_features(affinitynet, rows, input_scale=2.0, compute=CPU):
        features = torch.from_numpy(maps).permute(2, 0, 1)[None].split(widths, dim=1)
        stencil = affinitynet.stencil(affinitynet.affinity_features(features))[0]
        np.testing.assert_allclose(stencil.detach().numpy(), expected[name], atol=5e-3)


def test_segment_takes_the_likeliest_class_of_each_image_alone(
    segmenter: Segmenter, rows: list[ImageRow]
) -> None:
    found = dict(segment(segmenter, rows, config.Segmentation(scales=(1.0,), flip=False), CPU))
    for row in rows:
        image = normalised(read_image(row.image), segmenter.backbone.normalization)[None]
        expected = segmenter(image)[0].argmax(0).numpy()
        assert found[row.id].dtype == np.uint8
        assert (found[row.id] == expected).mean() > 0.999
    assert len(np.unique(np.concatenate([mask.ravel() for mask in found.values()]))) > 1


def test_segment_with_flip_mirrors_with_the_image(segmenter: Segmenter, rows: list[ImageRow]) -> None:
    pair = [rows[0], rows[-1]]
    found = dict(segment(segmenter, pair, config.Segmentation(scales=(1.0, 0.5), flip=True), CPU))
    assert (found[pair[1].id][:, ::-1] == found[pair[0].id]).mean() > 0.999


# Kinds by name


class FakeJob:
    """What the kinds need of a job."""

    def __init__(self, params: Any, checkpoint: Path | None = None) -> None:
        self.params, self.input = params, SimpleNamespace(checkpoint=checkpoint, images="images.tsv")
        self.threads, self.compute = 1, CPU
        self.read: list[Path] = []

    def reads(self, paths: Iterable[Path]) -> None:
        self.read += paths


CLASS_NAMES = ("ant", "bee", "cat", "dog")


def test_every_kind_states_which_network_it_needs() -> None:
    assert {name: facts["network"] for name, facts in choices(CAM_KINDS).items()} == {
        "classifier": "classifier",
        "files": None,
        "segmenter": "segmenter",
    }
    assert {name: facts["network"] for name, facts in choices(AFFINITY_KINDS).items()} == {
        "network": "affinitynet",
        "irn": "irnet",
        "boundary": None,
    }


def test_cams_of_the_classifiers_checkpoint(
    classifier: Classifier, rows: list[ImageRow], tmp_path: Path
) -> None:
    save_network(tmp_path / "checkpoint.pt", classifier, config.Classifier(), CLASS_NAMES)
    section = config.ClassifierCams(scales=(1.0,), flip=False)
    job = FakeJob(ComputeCams(precision="float32", cams=section, dense_crf=None), tmp_path / "checkpoint.pt")
    found = list(cam_kinds.compute_cams(job, Manifest(CLASS_NAMES, tuple(rows))))
    for (name, cams, values), expected in zip(
        found, compute_cams(classifier, rows, section, CPU), strict=True
    ):
        assert (name, values.tolist()) == (expected[0], expected[2].tolist())
        np.testing.assert_allclose(cams, expected[1], atol=1e-3)
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt: a classifier of ant, bee, cat, dog, but .* dog, cat"
    ):
        cam_kinds.compute_cams(job, Manifest(("ant", "bee", "dog", "cat"), tuple(rows)))


@pytest.mark.parametrize("dense_crf", [None, config.DenseCrf(iterations=2)])
def test_seeds_are_a_networks_probabilities_kept_to_the_labels(
    segmenter: Segmenter, rows: list[ImageRow], tmp_path: Path, dense_crf: config.DenseCrf | None
) -> None:
    save_network(tmp_path / "checkpoint.pt", segmenter, config.Segmenter(crop_size=64), CLASS_NAMES)
    section = config.SegmenterCams(kind="segmenter", checkpoint="unused", scales=(1.0,), flip=False)
    params = ComputeCams(precision="float32", cams=section, dense_crf=dense_crf)
    job = FakeJob(params, tmp_path / "checkpoint.pt")
    items = cam_kinds.compute_cams(job, Manifest(CLASS_NAMES, tuple(rows)))
    found = {name: (seeds, values) for name, seeds, values in items}
    for row in rows:
        seeds, values = found[row.id]
        assert seeds.dtype == np.float16
        assert values.tolist() == [1 + label for label in row.labels]
        image = normalised(read_image(row.image), segmenter.backbone.normalization)[None]
        kept = segmenter(image)[0].detach().double().softmax(0)[[0, *values.tolist()]].clamp(1e-12)
        kept = (kept / kept.sum(0)).float()
        expected = image_refinement(row, dense_crf)(kept) if dense_crf else kept
        np.testing.assert_allclose(seeds, expected[1:], atol=2e-3)
    others = Manifest(("ant", "bee", "dog", "cat"), tuple(rows))
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt: a segmentation network of ant, bee, cat, dog, but"
    ):
        list(cam_kinds.compute_cams(job, others))


def test_cams_of_files(rows: list[ImageRow], tmp_path: Path) -> None:
    for row in rows:
        maps = np.random.default_rng(0).random((4, row.height, row.width), dtype=np.float32)
        np.save(tmp_path / f"{row.id}.npy", maps)
    section = config.FileCams(kind="files", format="stacks", folder=str(tmp_path))
    job = FakeJob(ComputeCams(precision=None, cams=section, dense_crf=None))
    found = list(cam_kinds.compute_cams(job, Manifest(CLASS_NAMES, tuple(rows))))
    assert [name for name, _, _ in found] == [row.id for row in rows]
    assert [values.tolist() for _, _, values in found] == [
        [label + 1 for label in row.labels] for row in rows
    ]
    assert {path.name for path in job.read} == {f"{row.id}.npy" for row in rows if row.labels}


def test_affinities_of_the_networks_checkpoint(
    affinitynet: AffinityNet, rows: list[ImageRow], tmp_path: Path
) -> None:
    section = AFFINITYNET.model_copy(update={"input_scale": 1.5})
    save_network(tmp_path / "checkpoint.pt", affinitynet, section, CLASS_NAMES)
    params = ComputeAffinities(precision="float32", affinities=config.NetworkAffinities(flip=True))
    job = FakeJob(params, tmp_path / "checkpoint.pt")
    grid, items = affinity_kinds.compute_affinities(job, Manifest(CLASS_NAMES, tuple(rows)))
    assert grid == AffinityGrid(AFFINITYNET.radius, 1.5, AFFINITYNET.border)
    expected = dict(compute_affinities(affinitynet, rows, input_scale=1.5, flip=True, compute=CPU))
    for name, stencil in items:
        np.testing.assert_allclose(stencil, expected[name], atol=1e-3)


def test_affinities_of_boundary_maps(rows: list[ImageRow], tmp_path: Path) -> None:
    for row in rows:
        np.save(tmp_path / f"{row.id}.npy", np.full((row.height, row.width), 0.25, np.float32))
    section = config.BoundaryAffinities(kind="boundary", folder=str(tmp_path), input_scale=1.0, radius=3)
    job = FakeJob(ComputeAffinities(precision=None, affinities=section))
    grid, items = affinity_kinds.compute_affinities(job, Manifest(CLASS_NAMES, tuple(rows)))
    assert grid == AffinityGrid(3, 1.0, "full")
    for row, (name, stencil, boundary) in zip(rows, items, strict=True):
        assert name == row.id
        assert stencil.shape == (12, -(-row.height // 8), -(-row.width // 8))
        assert set(np.unique(stencil)) <= {0.0, 0.75}
        assert (boundary == 0.25).all()
    assert len(job.read) == len(rows)
