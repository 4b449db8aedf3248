"""What `deterministic: true` costs on a CPU, and what it is for.

    python -m benchmarks.determinism [--threads 2] [--images 32] [--repeats 3]

Trains the default classifier for an epoch, and computes the CAMs of the same drawn scenes by it, on one
thread and on several, with the key and without. The ratio is one of processor time, to that on one thread
without the key. On a busy machine it says more than seconds by the clock; but of several threads it says
little there, because they use the processor while they wait for each other.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from wsss.data import ImageRow
from wsss.data.scenes import CLASSES, draw_scene
from wsss.models.classifier import restore_classifier
from wsss.results import write_cams
from wsss.runtime.compute import Compute
from wsss.runtime.devices import require_determinism
from wsss.stages.cams.classifier import compute_cams
from wsss.stages.classifier import train_classifier
from wsss.stages.training.run import Run
from wsss.study.config import Classifier, ClassifierCams
from wsss.study.provenance import file_digest

CPU = torch.device("cpu")
SIDE = 128


class Measured(NamedTuple):
    """Seconds of processor time and by the clock, and the digest of the result."""

    used: float
    clock: float
    digest: str


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.disable()
    cases = [(key, threads) for key in (False, True) for threads in (1, options.threads)]
    found: dict[tuple[str, bool, int], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as name:
        rows = scenes(Path(name), options.images)
        for number in range(options.repeats + 1):
            for key, threads in cases:
                for stage, measured in measure(rows, Path(name, f"{number}-{key}-{threads}"), key, threads):
                    found.setdefault((stage, key, threads), []).append(measured)
    for stage in ("training", "CAMs"):
        plain = [run.used for run in found[stage, False, 1][1:]]
        for key, threads in cases:
            runs = found[stage, key, threads][1:]  # the first one compiles and fills caches
            ratio = median(run.used / other for run, other in zip(runs, plain, strict=True))
            same = {run.digest for run in runs} == {run.digest for run in found[stage, key, 1]}
            print(
                f"{stage:8} deterministic: {key!s:5} threads: {threads} "
                f"processor time {median(run.used for run in runs):6.2f} s, ratio {ratio:.2f}, "
                f"clock {median(run.clock for run in runs):6.2f} s, same as on one thread: {same}"
            )


def scenes(folder: Path, count: int) -> list[ImageRow]:
    """Draw scenes of one size: such images would be computed together."""
    rows = []
    for number in range(count):
        path = folder / f"{number:04}.png"
        scene = draw_scene(np.random.default_rng(number), 2 * SIDE)[0]
        Image.fromarray(scene[:SIDE, :SIDE]).save(path)
        rows.append(ImageRow(path.stem, path, None, "train", False, (number % len(CLASSES),), SIDE, SIDE, ""))
    return rows


def measure(
    rows: Sequence[ImageRow], folder: Path, deterministic: bool, threads: int
) -> list[tuple[str, Measured]]:
    """Train and compute CAMs."""
    if deterministic:
        require_determinism()
    else:
        torch.use_deterministic_algorithms(False)
    compute = Compute.of(CPU, "float32", threads, deterministic=deterministic)
    folder.mkdir()
    run = Run(folder / "checkpoint.pt", folder / "history.tsv", CLASSES, 0, compute)
    start, used = time.perf_counter(), time.process_time()
    train_classifier(rows, Classifier(epochs=1, batch_size=8, crop_size=SIDE), run)
    between = time.perf_counter(), time.process_time()
    model = restore_classifier(run.checkpoint).network
    write_cams(folder / "cams.npz", compute_cams(model, rows, ClassifierCams(), compute))
    end = time.perf_counter(), time.process_time()
    return [
        ("training", Measured(between[1] - used, between[0] - start, file_digest(run.checkpoint))),
        ("CAMs", Measured(end[1] - between[1], end[0] - between[0], file_digest(folder / "cams.npz"))),
    ]


if __name__ == "__main__":
    main()
