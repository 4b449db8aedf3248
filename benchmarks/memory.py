"""Resident memory of four stages over 1, 4 and 16 times as many photographs, which should be the same.

    OMP_NUM_THREADS=1 python -m benchmarks.memory [--images 24 --times 1 4 16 --stages segmentation cams]

Photographs are cut from drawn scenes, each with sides of its own between 160 and 420 pixels: equal sizes
would hide what an allocator cannot use again. Each line is a process of its own that runs one stage on the
CPU as its job does, results written to files; networks have random weights, which costs the same.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from wsss.data import ImageRow
from wsss.data.scenes import CLASSES, draw_scene
from wsss.method.affinity import half_plane_offsets
from wsss.method.labels import class_values
from wsss.models.affinitynet import build_affinitynet
from wsss.models.classifier import build_classifier
from wsss.models.segmenter import build_segmenter
from wsss.results import (
    AffinityGrid,
    read_affinities,
    read_cams,
    write_affinities,
    write_cams,
    write_masks,
    write_pseudo_masks,
)
from wsss.runtime.compute import Compute
from wsss.runtime.this_process import peak_memory_mb
from wsss.stages.affinities.network import compute_affinities
from wsss.stages.cams.classifier import compute_cams
from wsss.stages.random_walk import propagate_images
from wsss.stages.segmentation import segment
from wsss.study.config import AffinityNet, Classifier, ClassifierCams, RandomWalk, Segmentation, Segmenter

SCENES, SCENE_SIDE = 12, 560
SIDES = (160, 420)
RADIUS = 5


class Settings(NamedTuple):
    """What the processes are told."""

    backbone: str
    threads: int


class Measured(NamedTuple):
    """Resident memory in MiB before the first image, after the last one, and at most; and seconds."""

    before: float
    after: float
    peak: float
    seconds: float


def photographs(folder: Path, count: int) -> list[ImageRow]:
    """Write photographs of different sizes; a longer list begins with a shorter one."""
    scenes = [draw_scene(np.random.default_rng(seed), SCENE_SIDE)[0] for seed in range(SCENES)]
    rows = []
    for number in range(count):
        rng = np.random.default_rng((1, number))
        height, width = (int(side) for side in rng.integers(*SIDES, 2))
        labels = tuple(sorted(rng.permutation(len(CLASSES))[: rng.integers(1, 4)].tolist()))
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(scenes[number % SCENES][:height, :width]).save(path, quality=92)
        rows.append(ImageRow(path.stem, path, None, "train", False, labels, height, width, ""))
    return rows


def cams_stage(rows: Sequence[ImageRow], folder: Path, settings: Settings, compute: Compute) -> None:
    """Compute CAMs."""
    section = Classifier(backbone=settings.backbone)
    model = compute.place(build_classifier(section, len(CLASSES)).eval())
    write_cams(folder / "out.npz", compute_cams(model, rows, ClassifierCams(), compute))


def affinities_stage(rows: Sequence[ImageRow], folder: Path, settings: Settings, compute: Compute) -> None:
    """Compute affinities."""
    section = AffinityNet(backbone=settings.backbone)
    model = compute.place(build_affinitynet(section).eval())
    grid = AffinityGrid(model.radius, 1.0, model.border)
    items = compute_affinities(model, rows, input_scale=1.0, flip=True, compute=compute)
    write_affinities(folder / "out.h5", items, grid)


def random_walk_stage(rows: Sequence[ImageRow], folder: Path, settings: Settings, _: Compute) -> None:
    """Walk random CAMs over random affinities, which are in files."""
    with read_cams(folder / "cams.npz") as cams, read_affinities(folder / "affinities.h5") as affinities:
        masks = propagate_images(
            rows, cams, affinities, RandomWalk(), device=torch.device("cpu"), threads=settings.threads
        )
        write_pseudo_masks(folder / "out.h5", folder / "margins.h5", masks)


def segmentation_stage(rows: Sequence[ImageRow], folder: Path, settings: Settings, compute: Compute) -> None:
    """Segment."""
    section = Segmenter(backbone=settings.backbone, crop_size=256)
    model = compute.place(build_segmenter(section, 1 + len(CLASSES)).eval())
    write_masks(folder / "out.h5", segment(model, rows, Segmentation(), compute))


Stage = Callable[[Sequence[ImageRow], Path, Settings, Compute], None]
STAGES: dict[str, Stage] = {
    "segmentation": segmentation_stage,
    "affinities": affinities_stage,
    "cams": cams_stage,
    "random_walk": random_walk_stage,
}


def inputs_of_walk(rows: Sequence[ImageRow], folder: Path) -> None:
    """Write CAMs and affinities of the right shapes for the random walk."""
    rng = np.random.default_rng(0)
    pairs = len(half_plane_offsets(RADIUS))
    stencils = (
        (row.id, rng.random((pairs, -(-row.height // 8), -(-row.width // 8))).astype(np.float16))
        for row in rows
    )
    write_affinities(folder / "affinities.h5", stencils, AffinityGrid(RADIUS, 1.0, "full"))
    maps = (
        (
            row.id,
            rng.random((len(row.labels), row.height, row.width), np.float32).astype(np.float16),
            class_values(row.labels),
        )
        for row in rows
    )
    write_cams(folder / "cams.npz", maps)


def measure(stage: str, rows: Sequence[ImageRow], folder: Path, settings: Settings) -> Measured:
    """Run a stage over images, after one image that loads libraries and compiles kernels."""
    compute = Compute.of(torch.device("cpu"), "float32", settings.threads)
    STAGES[stage](rows[:1], folder, settings, compute)
    before, start = resident_mb(), time.monotonic()
    STAGES[stage](rows, folder, settings, compute)
    return Measured(before, resident_mb(), peak_memory_mb(), time.monotonic() - start)


def resident_mb() -> float:
    """Resident memory of this process now, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=24, help="photographs of the shortest run")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--backbone", default="mobilenet_v2", help="as in the configuration")
    parser.add_argument("--threads", type=int, default=2, help="of the job")
    options = parser.parse_args(arguments)
    settings = Settings(options.backbone, options.threads)
    print(f"{'stage':12} {'images':>7} {'before MiB':>11} {'after MiB':>10} {'peak MiB':>9} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = photographs(folder, options.images * max(options.times))
        if "random_walk" in options.stages:
            inputs_of_walk(rows, folder)
        for stage in options.stages:
            for times in options.times:
                chosen = rows[: options.images * times]
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    found = pool.submit(measure, stage, chosen, folder, settings).result()
                print(
                    f"{stage:12} {len(chosen):7d} {found.before:11.0f} {found.after:10.0f} "
                    f"{found.peak:9.0f} {found.seconds:8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
