"""Time and memory of the CAMs of one photograph: four scales, each with its mirror image.

    OMP_NUM_THREADS=2 python -m benchmarks.cams [--backbone resnet38 --precision float32 --height 375]

One process per precision, because the peak of memory is the process's. Weights are random, which costs the
same.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsss.data import ImageRow
from wsss.models.classifier import build_classifier
from wsss.runtime.compute import Compute
from wsss.runtime.devices import device
from wsss.runtime.this_process import peak_memory_mb
from wsss.stages.cams.classifier import compute_cams
from wsss.study.config import Classifier, ClassifierCams


def photograph(folder: Path, height: int, width: int) -> ImageRow:
    """Write an image of noise, with three labels."""
    path = folder / "photograph.png"
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return ImageRow("photograph", path, None, "train", False, (0, 7, 14), height, width, "")


def processor_seconds() -> float:
    """Seconds that all threads of this process have computed so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet38", help="as in the configuration")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--width", type=int, default=500)
    options = parser.parse_args(arguments)
    compute = Compute(device(), options.precision)
    section = Classifier(backbone=options.backbone, output_stride=8, weights="none")
    model = compute.place(build_classifier(section, 20).eval())
    with tempfile.TemporaryDirectory() as folder:
        row = photograph(Path(folder), options.height, options.width)
        start, busy = time.monotonic(), processor_seconds()
        ((_, cams, _),) = compute_cams(model, [row], ClassifierCams(), compute)
        seconds, busy = time.monotonic() - start, processor_seconds() - busy
    print(
        f"{options.backbone}, {options.precision}, {compute.device}, {torch.get_num_threads()} threads: "
        f"CAMs of shape {cams.shape} in {seconds:.1f} s ({busy:.1f} s of the processor), "
        f"at most {peak_memory_mb():,.0f} MiB"
    )


if __name__ == "__main__":
    main()
