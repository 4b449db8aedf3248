"""With `deterministic: true` the road gives the same bytes on any number of threads and shards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from tests.unit.conftest import Pictures
from wsss.models.affinitynet import restore_affinitynet
from wsss.models.classifier import restore_classifier
from wsss.models.segmenter import restore_segmenter
from wsss.results import AffinityGrid, open_shards, read_affinities, read_cams, write_affinities, write_cams
from wsss.runtime.compute import Compute
from wsss.runtime.devices import require_determinism
from wsss.stages.affinities.network import compute_affinities
from wsss.stages.affinitynet import train_affinitynet
from wsss.stages.cams.classifier import compute_cams
from wsss.stages.classifier import train_classifier
from wsss.stages.confident import label_images
from wsss.stages.random_walk import propagate_images
from wsss.stages.segmentation import segment
from wsss.stages.segmenter import train_segmenter
from wsss.stages.training.run import Run
from wsss.study.config import (
    AffinityNet,
    Classifier,
    ClassifierCams,
    Confident,
    DenseCrf,
    OnImages,
    RandomWalk,
    Segmentation,
    Segmenter,
)

CPU = torch.device("cpu")
NAMES = ("red", "blue")
CRF = DenseCrf(iterations=2)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]


def road(pictures: Pictures, folder: Path, threads: int, shards: int) -> dict[str, str]:
    """Digests of what the stages make of the pictures, by name: networks, and the arrays of each image."""
    require_determinism()
    compute = Compute.of(CPU, "float32", threads, deterministic=True)
    rows, made = pictures.rows, {}
    parts = [rows[start::shards] for start in range(shards)]

    def run(name: str) -> Run:
        (folder / name).mkdir(parents=True)
        return Run(folder / name / "checkpoint.pt", folder / name / "history.tsv", NAMES, 0, compute)

    def keep(stage: str, image_id: str, content: bytes) -> None:
        made[f"{stage} {image_id}"] = hashlib.sha256(content).hexdigest()

    with ExitStack() as stack:
        first = run("classifier")
        train_classifier(rows, Classifier(epochs=2, batch_size=4, crop_size=32), first)
        classifier = restore_classifier(first.checkpoint).network
        for number, part in enumerate(parts):
            write_cams(folder / f"{number}.npz", compute_cams(classifier, part, ClassifierCams(), compute))
        cams = stack.enter_context(open_shards(sorted(folder.glob("*.npz")), read_cams))
        labels = {
            image_id: found
            for part in parts
            for image_id, found in label_images(part, cams, Confident(), CRF, device=CPU, threads=threads)
        }
        second, on_images = run("affinitynet"), OnImages(batch_norm="trained")
        pairs = AffinityNet(weights="none", epochs=2, batch_size=4, crop_size=80, train_on=on_images)
        train_affinitynet(rows, labels, pairs, second)
        comparing = restore_affinitynet(second.checkpoint).network
        grid = AffinityGrid(comparing.radius, 2.0, comparing.border)
        for number, part in enumerate(parts):
            items = compute_affinities(comparing, part, input_scale=2.0, flip=True, compute=compute)
            write_affinities(folder / f"{number}.h5", items, grid)
        affinities = [stack.enter_context(read_affinities(folder / f"{n}.h5")) for n in range(shards)]
        walk = RandomWalk(beta=4, t=16)
        masks = {}
        for part, of_part in zip(parts, affinities, strict=True):
            for image_id, mask, _ in propagate_images(
                part, cams, of_part, walk, CRF, device=CPU, threads=threads
            ):
                masks[image_id] = mask
        torch.set_num_threads(1)
        third = run("segmenter")
        train_segmenter(rows, masks, Segmenter(weights="none", epochs=2, batch_size=4, crop_size=32), third)
        segmenter = restore_segmenter(third.checkpoint).network
        for part in parts:
            for image_id, mask in segment(segmenter, part, Segmentation(flip=True), compute):
                keep("segmentation", image_id, mask.tobytes())
        for image_id, (scores, _) in cams.items():
            keep("cams", image_id, scores.tobytes())
            keep("confident", image_id, labels[image_id].tobytes())
            keep("random_walk", image_id, masks[image_id].tobytes())
        for of_part in affinities:
            for image_id in of_part:
                keep("affinities", image_id, of_part[image_id].tobytes())
    return made | {
        str(path.parent.name): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*/checkpoint.pt")
    }


def test_the_road_is_the_same_on_any_number_of_threads_and_shards(pictures: Pictures, tmp_path: Path) -> None:
    expected = road(pictures, tmp_path / "one", threads=1, shards=1)
    assert len(expected) == 3 + 5 * len(pictures.rows)
    assert road(pictures, tmp_path / "three", threads=3, shards=2) == expected


def test_networks_see_one_image_at_a_time_on_one_thread() -> None:
    compute = Compute.of(CPU, "float32", 3, deterministic=True)
    assert (compute.batch_pixels, torch.get_num_threads()) == (0, 1)
    assert Compute.of(CPU, "float32", 3).batch_pixels > 0
    assert torch.get_num_threads() == 3


def test_what_cannot_be_repeated_is_refused() -> None:
    require_determinism()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
